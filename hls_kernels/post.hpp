// post: from sums to output words: adds the bias, rounds and saturates once, clamps, packs kLanes channels a
// word.
//
// Config: kOutputs (sums per fold), kLanes, kBiasEntries, kBiasLanes, kDirected (some task does not round
// half to even), sum_t, wide_t (sums times multipliers), output_t, row(phase). kOutputs must be a multiple or
// a divisor of kLanes. Biases: entry (address of the task + word of the pixel) holds kLanes biases in the
// unit of the sums. If channels differ in their units in some phase, kBiasLanes is 2 * kLanes, and kLanes
// further shifts follow. If scales are no powers of two in some phase, kBiasLanes is 3 * kLanes: multipliers
// of 31 bits follow, 1 where none is needed. Cycles: iterations = pixels * max(output words, folds), II = 1.
#pragma once

#include "requantise.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct post_row {
    int iterations;  // pixels * steps
    int steps;       // per pixel: output words, or folds where a fold is less than a word
    int biases;      // first entry of the task in the bias memory
    int shift;       // least right shift of a channel, from its sum's to the output's unit
    int low;         // clamp, in raw output integers
    int high;
    int zero;      // zero point of the output
    int rounding;  // a rounding_mode
};

template <class Config>
void post(int phase, stream<vec<typename Config::sum_t, Config::kOutputs>>& sums,
          const vec<typename Config::sum_t, Config::kBiasLanes> biases[Config::kBiasEntries],
          stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    constexpr int kOutputs = Config::kOutputs;
    constexpr int kLanes = Config::kLanes;
    static_assert(kOutputs % kLanes == 0 || kLanes % kOutputs == 0,
                  "outputs and lanes must divide one another");
    constexpr int kWordsPerFold = kOutputs > kLanes ? kOutputs / kLanes : 1;
    constexpr int kFoldsPerWord = kLanes > kOutputs ? kLanes / kOutputs : 1;
    constexpr int kSections = Config::kBiasLanes / kLanes;  // of an entry
    static_assert(Config::kBiasLanes % kLanes == 0 && kSections <= 3,
                  "an entry holds biases, shifts and multipliers");
    constexpr int kPerStep = kOutputs < kLanes ? kOutputs : kLanes;
    using sum_t = typename Config::sum_t;
    using wide_t = typename Config::wide_t;
    using output_t = typename Config::output_t;
    const post_row row = Config::row(phase);
    vec<sum_t, kOutputs> sum;
    vec<output_t, kLanes> word;
#pragma HLS ARRAY_PARTITION variable = sum.data type = complete
#pragma HLS ARRAY_PARTITION variable = word.data type = complete
    int step = 0;     // within the pixel
    int section = 0;  // within a fold (its words) or within a word (its folds)
    int address = row.biases;
Post:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (kWordsPerFold == 1 || section == 0) sum = sums.read();
        const int from = kWordsPerFold == 1 ? 0 : section * kLanes;
        const int to = kFoldsPerWord == 1 ? 0 : section * kOutputs;
        const vec<sum_t, Config::kBiasLanes>& bias = biases[address];
        for (int p = 0; p < kPerStep; ++p) {
#pragma HLS UNROLL
            const sum_t exact = sum[from + p] + bias[to + p];
            const int shift = row.shift + (kSections > 1 ? int(bias[kLanes + to + p]) : 0);
            wide_t value = wide_t(exact);
            if (kSections > 2) value = wide_t(value * wide_t(bias[2 * kLanes + to + p]));
            const wide_t rounded = shift_by_mode<Config::kDirected>(value, shift, row.rounding);
            word[to + p] = output_t(clamp(wide_t(rounded + wide_t(row.zero)), row.low, row.high));
        }
        const bool last = step == row.steps - 1;
        if (kFoldsPerWord == 1 || section == kFoldsPerWord - 1 || last) {
            for (int p = 0; p < kLanes; ++p) {
#pragma HLS UNROLL
                word[p] = p < to + kPerStep ? word[p] : output_t(0);  // the last fold may not fill the word
            }
            out.write(word);
            ++address;
        }
        section = last || section == kWordsPerFold * kFoldsPerWord - 1 ? 0 : section + 1;
        if (last) {
            step = 0;
            address = row.biases;
        } else {
            ++step;
        }
    }
}

}  // namespace intarsia
