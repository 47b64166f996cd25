// depthwise: a multiply-accumulate array in which every channel has a kernel of its own.
//
// kPositions x kLanes multipliers: in each iteration, lane v multiplies kPositions elements of its channel
// by their weights and adds them to the channel's sum. The window behind it sends, for each pixel and each
// word of channels, all kernel positions in turn, kPositions words side by side; post takes the sums.
//
// Config: kLanes, kPositions, kWeightEntries, input_t, weight_t, sum_t, row(phase).
// Weights: entry (address of the task + word of the pixel * steps + step) holds kPositions rows of kLanes.
// Cycles: iterations = pixels * words * steps, II = 1.
#pragma once

#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct depthwise_row {
    int iterations;  // pixels * words * steps
    int words;       // of a pixel
    int steps;       // per word: ceil(kernel positions / kPositions)
    int weights;     // first entry of the task in the weight memory
};

template <class Config>
void depthwise(
    int phase, stream<vec<typename Config::input_t, Config::kPositions * Config::kLanes>>& patches,
    const vec<typename Config::weight_t, Config::kPositions * Config::kLanes> weights[Config::kWeightEntries],
    stream<vec<typename Config::sum_t, Config::kLanes>>& sums) {
    INTARSIA_PROCESS;
    constexpr int kLanes = Config::kLanes;
    using sum_t = typename Config::sum_t;
    const depthwise_row row = Config::row(phase);
    vec<sum_t, kLanes> sum;
#pragma HLS ARRAY_PARTITION variable = sum.data type = complete
    int step = 0;
    int word = 0;
    int address = row.weights;
Depthwise:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const vec<typename Config::input_t, Config::kPositions * kLanes> x = patches.read();
        const vec<typename Config::weight_t, Config::kPositions * kLanes>& weight = weights[address];
        for (int v = 0; v < kLanes; ++v) {
#pragma HLS UNROLL
            sum_t products = 0;
            for (int p = 0; p < Config::kPositions; ++p) {
#pragma HLS UNROLL
                products += sum_t(x[p * kLanes + v] * weight[p * kLanes + v]);
            }
            sum[v] = (step == 0 ? sum_t(0) : sum[v]) + products;
        }
        ++address;
        if (++step == row.steps) {
            sums.write(sum);
            step = 0;
            if (++word == row.words) {
                word = 0;
                address = row.weights;
            }
        }
    }
}

}  // namespace intarsia
