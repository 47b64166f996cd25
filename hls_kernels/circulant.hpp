// circulant_direct, circulant_exact, circulant_fft: the multiply-accumulate array of an engine for
// block-circulant weights.
//
// In the place of mac.hpp: the same patches in, the same sums out, in the same iterations, with the same
// rows. Lanes and outputs are cut into blocks of kBlock channels. A block of kBlock x kBlock weights is one
// column of kBlock numbers, so a weight entry holds kOutputs * kLanes / kBlock weights. What is done with a
// block of inputs and a column is the form's business:
//
//   direct (circulant_direct.hpp)  kBlock * kBlock products: fewer weights, products as ever
//   exact  (circulant_exact.hpp)   2, 5, 14, 41, 122 products for blocks of 2 to 32, the same integers
//   fft    (circulant_fft.hpp)     products in the frequency domain, rounded
//
// A form transforms a block of inputs when its word arrives; the patch keeps it transformed, for all passes.
// It accumulates transformed products over the patch and turns them back once, at its end: all blocks of
// outputs at once, or in kSteps parts one after the other, while the next pass goes on, with as many times
// less hardware for the way back. A patch then has at least kSteps words.
//
// Config: kOutputs, kLanes, kBlock, kSteps, kPatchWords (longest patch), kWeightEntries, form, input_t,
// weight_t, sum_t, row(phase). Weights: entry (address of the task + fold * words + word) holds, for every
// block of outputs, a row in a memory of its own: for every block of lanes, a column. Cycles: iterations =
// pixels * folds * words, and kSteps - 1 more; II = 1.
#pragma once

#include "circulant_direct.hpp"
#include "circulant_exact.hpp"
#include "circulant_fft.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct circulant_row {
    int iterations;  // pixels * folds * words
    int folds;       // passes over a patch: ceil(outputs / kOutputs)
    int words;       // words of a patch
    int weights;     // first entry of the task in the weight memory
    int full;        // words of a patch without padded lanes; the others follow
    int lanes;       // lanes of the others that are not padding
    int outputs;     // outputs of the last pass that are not padding
};

/// The array, whatever the form.
template <class Config>
void circulant_array(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& patches,
                     const vec<typename Config::weight_t, Config::kLanes>
                         weights[Config::kWeightEntries][Config::kOutputs / Config::kBlock],
                     stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
#pragma HLS INLINE
    INTARSIA_PROCESS;
    using form = typename Config::form;
    constexpr int kBlock = Config::kBlock;
    static_assert(Config::kLanes % kBlock == 0, "a word must hold whole blocks");
    static_assert(Config::kOutputs % kBlock == 0, "a pass must make whole blocks");
    static_assert(Config::kOutputs / kBlock % Config::kSteps == 0, "a pass must be cut into equal parts");
    constexpr int kRows = Config::kOutputs / kBlock;
    constexpr int kColumns = Config::kLanes / kBlock;
    using operand_t = typename form::operand_t;
    using total_t = typename form::total_t;
    const circulant_row row = Config::row(phase);
    vec<operand_t, kColumns * form::kOperands> patch[Config::kPatchWords];
#pragma HLS AGGREGATE variable = patch compact = bit
    vec<total_t, kRows * form::kTotals> total;
#pragma HLS ARRAY_PARTITION variable = total.data type = complete
    constexpr int kPart = kRows / Config::kSteps;       // blocks of outputs that are turned back at once
    vec<total_t, kRows * form::kTotals> left;           // of the pass before, what is not turned back yet
    vec<typename Config::sum_t, Config::kOutputs> sum;  // what is
#pragma HLS ARRAY_PARTITION variable = left.data type = complete
#pragma HLS ARRAY_PARTITION variable = sum.data type = complete
    int steps = 0;      // that are left
    bool last = false;  // the pass before was the last one of its patch
    int word = 0;
    int fold = 0;
    int address = row.weights;
Circulant:
    for (int i = 0; i < row.iterations + Config::kSteps - 1; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (i < row.iterations) {
            vec<operand_t, kColumns * form::kOperands> x;
            if (fold == 0) {
                vec<typename Config::input_t, Config::kLanes> raw = patches.read();
                for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
                    if (word >= row.full && v >= row.lanes) raw[v] = 0;
                }
                for (int column = 0; column < kColumns; ++column) {
#pragma HLS UNROLL
                    form::transform(raw.data + column * kBlock, x.data + column * form::kOperands);
                }
                patch[word] = x;
            } else {
                x = patch[word];
            }
            for (int j = 0; j < kRows; ++j) {
#pragma HLS UNROLL
                const vec<typename Config::weight_t, Config::kLanes> weight = weights[address][j];
                for (int t = 0; t < form::kTotals; ++t) {
#pragma HLS UNROLL
                    if (word == 0) total[j * form::kTotals + t] = 0;
                }
                for (int column = 0; column < kColumns; ++column) {
#pragma HLS UNROLL
                    form::multiply(x.data + column * form::kOperands, weight.data + column * kBlock,
                                   total.data + j * form::kTotals);
                }
            }
            ++address;
            if (++word == row.words) {
                left = total;
                steps = Config::kSteps;
                last = fold == row.folds - 1;
                word = 0;
                if (++fold == row.folds) {
                    fold = 0;
                    address = row.weights;
                }
            }
        }
        if (steps > 0) {
            for (int p = 0; p < Config::kOutputs - kPart * kBlock; ++p) {
#pragma HLS UNROLL
                sum[p] = sum[p + kPart * kBlock];
            }
            for (int j = 0; j < kPart; ++j) {
#pragma HLS UNROLL
                form::finish(left.data + j * form::kTotals,
                             sum.data + Config::kOutputs - (kPart - j) * kBlock);
            }
            for (int t = 0; t < (kRows - kPart) * form::kTotals; ++t) {
#pragma HLS UNROLL
                left[t] = left[t + kPart * form::kTotals];
            }
            if (--steps == 0) {
                vec<typename Config::sum_t, Config::kOutputs> made = sum;
                for (int p = 0; p < Config::kOutputs; ++p) {
#pragma HLS UNROLL
                    if (last && p >= row.outputs) made[p] = 0;
                }
                sums.write(made);
            }
        }
    }
}

// A process for each form, whose pipelines differ in depth, and so has a name of its own in reports.

template <class Config>
void circulant_direct(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& patches,
                      const vec<typename Config::weight_t, Config::kLanes>
                          weights[Config::kWeightEntries][Config::kOutputs / Config::kBlock],
                      stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
    circulant_array<Config>(phase, patches, weights, sums);
}

template <class Config>
void circulant_exact(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& patches,
                     const vec<typename Config::weight_t, Config::kLanes>
                         weights[Config::kWeightEntries][Config::kOutputs / Config::kBlock],
                     stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
    circulant_array<Config>(phase, patches, weights, sums);
}

template <class Config>
void circulant_fft(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& patches,
                   const vec<typename Config::weight_t, Config::kLanes>
                       weights[Config::kWeightEntries][Config::kOutputs / Config::kBlock],
                   stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
    circulant_array<Config>(phase, patches, weights, sums);
}

}  // namespace intarsia
