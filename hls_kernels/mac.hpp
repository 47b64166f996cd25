// mac: the multiply-accumulate array of an engine.
//
// kOutputs x kLanes multipliers. A pixel arrives as `words` words of kLanes elements (a patch); each of
// `folds` passes over the patch makes kOutputs sums. The patch is kept, so the window behind it sends every
// word once and moves on while the array still works.
//
// Config: kOutputs, kLanes, kPatchWords (longest patch), kWeightEntries,
// input_t, weight_t, sum_t, row(phase).
// Weights: entry (address of the task + fold * words + word) holds kOutputs rows of kLanes, row-major.
// Cycles: iterations = pixels * folds * words, II = 1.
#pragma once

#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct mac_row {
    int iterations;  // pixels * folds * words
    int folds;       // passes over a patch: ceil(outputs / kOutputs)
    int words;       // words of a patch
    int weights;     // first entry of the task in the weight memory
};

template <class Config>
void mac(
    int phase, stream<vec<typename Config::input_t, Config::kLanes>>& patches,
    const vec<typename Config::weight_t, Config::kOutputs * Config::kLanes> weights[Config::kWeightEntries],
    stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
    INTARSIA_PROCESS;
    using sum_t = typename Config::sum_t;
    const mac_row row = Config::row(phase);
    vec<typename Config::input_t, Config::kLanes> patch[Config::kPatchWords];
#pragma HLS AGGREGATE variable = patch compact = bit
    vec<sum_t, Config::kOutputs> sum;
#pragma HLS ARRAY_PARTITION variable = sum.data type = complete
    int word = 0;
    int fold = 0;
    int address = row.weights;
Mac:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        vec<typename Config::input_t, Config::kLanes> x;
        if (fold == 0) {
            x = patches.read();
            patch[word] = x;
        } else {
            x = patch[word];
        }
        const vec<typename Config::weight_t, Config::kOutputs * Config::kLanes>& weight = weights[address];
        for (int p = 0; p < Config::kOutputs; ++p) {
#pragma HLS UNROLL
            sum_t products = 0;
            for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
                products += sum_t(x[v] * weight[p * Config::kLanes + v]);
            }
            sum[p] = (word == 0 ? sum_t(0) : sum[p]) + products;
        }
        ++address;
        if (++word == row.words) {
            sums.write(sum);
            word = 0;
            if (++fold == row.folds) {
                fold = 0;
                address = row.weights;
            }
        }
    }
}

}  // namespace intarsia
