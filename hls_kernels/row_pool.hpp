// row_pool: the maximum over windows of an image of one channel, kLanes neighbouring results at a time.
//
// row_window behind it sends what the windows of a word of results see.
// Config: as of row_window, and output_t, row(phase). Cycles: iterations = words of the result, II = 1.
#pragma once

#include "requantise.hpp"
#include "row_window.hpp"

namespace intarsia {

struct row_pool_row {
    int iterations;  // words of the result
    int low;         // clamp, in raw output integers
    int high;
};

template <class Config>
void row_pool(int phase, stream<typename row_patch<Config>::type>& patches,
              stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    constexpr int kSpan = row_patch<Config>::kSpan;
    const row_pool_row row = Config::row(phase);
RowPool:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const typename row_patch<Config>::type x = patches.read();
        vec<typename Config::output_t, Config::kLanes> word;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            int largest = x[v * Config::kStride];
            for (int k = 0; k < Config::kHeight; ++k) {
#pragma HLS UNROLL
                for (int l = 0; l < Config::kWidth; ++l) {
#pragma HLS UNROLL
                    const int value = x[k * kSpan + v * Config::kStride + l];
                    largest = value > largest ? value : largest;
                }
            }
            word[v] = typename Config::output_t(clamp(largest, row.low, row.high));
        }
        out.write(word);
    }
}

}  // namespace intarsia
