// stencil: convolution of an image of one channel, kLanes neighbouring pixels of the result at a time.
//
// kLanes x kHeight x kWidth multipliers; the weights stay for a whole image. row_window behind it sends what
// the windows of a word of results see; post takes the sums.
//
// Config: as of row_window, and kWeightEntries, weight_t, sum_t, row(phase).
// Cycles: iterations = words of the result, II = 1.
#pragma once

#include "row_window.hpp"

namespace intarsia {

struct stencil_row {
    int iterations;  // words of the result
    int weights;     // entry of the task in the weight memory
};

template <class Config>
void stencil(
    int phase, stream<typename row_patch<Config>::type>& patches,
    const vec<typename Config::weight_t, Config::kHeight * Config::kWidth> weights[Config::kWeightEntries],
    stream<vec<typename Config::sum_t, Config::kLanes>>& sums) {
    INTARSIA_PROCESS;
    using sum_t = typename Config::sum_t;
    constexpr int kSpan = row_patch<Config>::kSpan;
    const stencil_row row = Config::row(phase);
    vec<typename Config::weight_t, Config::kHeight * Config::kWidth> weight = weights[row.weights];
#pragma HLS ARRAY_PARTITION variable = weight.data type = complete
Stencil:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const typename row_patch<Config>::type x = patches.read();
        vec<sum_t, Config::kLanes> sum;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            sum_t products = 0;
            for (int k = 0; k < Config::kHeight; ++k) {
#pragma HLS UNROLL
                for (int l = 0; l < Config::kWidth; ++l) {
#pragma HLS UNROLL
                    products +=
                        sum_t(x[k * kSpan + v * Config::kStride + l] * weight[k * Config::kWidth + l]);
                }
            }
            sum[v] = products;
        }
        sums.write(sum);
    }
}

}  // namespace intarsia
