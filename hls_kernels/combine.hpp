// combine: two tensors of one shape, element by element.
//
// Operands, less their zero points, are aligned by left shifts or factors to one unit, combined exactly,
// rounded once, clamped. Config: kLanes, kKinds (mask of the combinations that occur), kScaled (some scale is
// no power of two of another), kDirected (some task does not round half to even), input_t, output_t, total_t,
// row(phase). Cycles: words, II = 1.
#pragma once

#include "requantise.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

enum combine_kind { kSum = 1, kDifference = 2, kProduct = 4, kMaximum = 8, kMinimum = 16 };

struct combine_row {
    int words;
    int kind;
    int shift_a;  // left shifts that align the operands
    int shift_b;
    int shift;  // right shift to the output's unit
    int low;    // clamp, in raw output integers
    int high;
    int zero_a;  // zero points of the operands
    int zero_b;
    int factor_a;  // what they are multiplied by, if their steps are no powers of two of one another
    int factor_b;
    int multiplier;  // of the result
    int zero;        // zero point of the output
    int rounding;    // a rounding_mode
};

template <class Config>
void combine(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& first,
             stream<vec<typename Config::input_t, Config::kLanes>>& second,
             stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    using total_t = typename Config::total_t;
    const combine_row row = Config::row(phase);
Combine:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const vec<typename Config::input_t, Config::kLanes> x = first.read();
        const vec<typename Config::input_t, Config::kLanes> y = second.read();
        vec<typename Config::output_t, Config::kLanes> word;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            total_t a = total_t(total_t(x[v] - row.zero_a) << row.shift_a);
            total_t b = total_t(total_t(y[v] - row.zero_b) << row.shift_b);
            if (Config::kScaled) {
                a = total_t(a * total_t(row.factor_a));
                b = total_t(b * total_t(row.factor_b));
            }
            total_t total = 0;
            if ((Config::kKinds & kSum) && row.kind == kSum) total = total_t(a + b);
            if ((Config::kKinds & kDifference) && row.kind == kDifference) total = total_t(a - b);
            if ((Config::kKinds & kProduct) && row.kind == kProduct) total = total_t(a * b);
            if ((Config::kKinds & kMaximum) && row.kind == kMaximum) total = a > b ? a : b;
            if ((Config::kKinds & kMinimum) && row.kind == kMinimum) total = a < b ? a : b;
            if (Config::kScaled) total = total_t(total * total_t(row.multiplier));
            const total_t rounded = shift_by_mode<Config::kDirected>(total, row.shift, row.rounding);
            word[v] =
                typename Config::output_t(clamp(total_t(rounded + total_t(row.zero)), row.low, row.high));
        }
        out.write(word);
    }
}

}  // namespace intarsia
