// pool: per-channel maximum or mean of kLanes channels over the positions of a window.
//
// The window behind it sends, for each pixel and each word of channels, all positions in turn.
// Config: kLanes, kMean (a mean occurs in some phase), kMax (a maximum does), kScaled (a mean is a product),
// input_t, output_t, total_t (shifted sums, and twice a remainder), reciprocal_t, product_t (total times
// reciprocal), row(phase). Cycles: iterations = pixels * words * positions, II = 1.
#pragma once

#include "requantise.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct pool_row {
    int iterations;  // pixels * words * positions
    int positions;   // of the window
    bool mean;
    int left;         // left shift of a sum, to steps as fine as the output's
    int64_t divisor;  // of the shifted sum, in units of the output; 1 for a maximum, 0 for a product instead
    int64_t reciprocal;  // or, if the divisor is 0, what the sum is multiplied by
    int shift;           // quotient = shifted sum * reciprocal >> shift
    int low;             // clamp, in raw output integers
    int high;
    int offset;  // of a sum: less the zero points of its inputs
    int zero;    // zero point of a mean
};

template <class Config>
void pool(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& patches,
          stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    using output_t = typename Config::output_t;
    const pool_row row = Config::row(phase);
    using total_t = typename Config::total_t;
    using reciprocal_t = typename Config::reciprocal_t;
    using product_t = typename Config::product_t;
    vec<total_t, Config::kLanes> total = {};
#pragma HLS ARRAY_PARTITION variable = total.data type = complete
    int position = 0;
Pool:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const vec<typename Config::input_t, Config::kLanes> x = patches.read();
        const bool first = position == 0;
        const bool last = position == row.positions - 1;
        const bool mean = Config::kMean && (!Config::kMax || row.mean);
        vec<output_t, Config::kLanes> word;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            const total_t value = total_t(x[v]);
            const total_t sum = first ? value : total_t(total[v] + value);
            const total_t largest = first || value > total[v] ? value : total[v];
            total[v] = mean ? sum : largest;
            total_t result = total[v];
            if (mean) {
                const total_t centred = total_t(total[v] + total_t(row.offset));
                if (Config::kScaled && row.divisor == 0) {
                    const product_t product = product_t(product_t(centred) * product_t(row.reciprocal));
                    result = total_t(
                        clamp(shift_half_even(product, row.shift), row.low - row.zero, row.high - row.zero));
                } else {
                    result = divide_half_even<product_t>(total_t(centred << row.left), total_t(row.divisor),
                                                         reciprocal_t(row.reciprocal), row.shift);
                }
                result = total_t(result + total_t(row.zero));
            }
            word[v] = output_t(clamp(result, row.low, row.high));
        }
        if (last) out.write(word);
        position = last ? 0 : position + 1;
    }
}

}  // namespace intarsia
