// mac: the multiply-accumulate array of an engine.
//
// kOutputs x kLanes multipliers. A pixel arrives as `words` words of kLanes elements (a patch); each of
// `folds` passes over the patch makes kOutputs sums. The patch is kept, so the window behind it sends every
// word once and moves on while the array still works.
//
// The other factor is constant, from the weight memory of the engine, or computed: then it comes as a matrix
// of rows, one for each output, from a second stream into a memory of the process, before the pixels that it
// is multiplied with; once per batch.
//
// Config: kOutputs, kLanes, kPaired (two products per DSP), kPatchWords (longest patch), kWeightEntries
// (0: none), kOperandEntries (0: none), input_t, weight_t, factor_t (holds both), sum_t, row(phase).
// Weights: entry (address of the task + fold * words + word) holds kOutputs rows of kLanes, each in a memory
// of its own, so that no memory is wider than a word.
// Cycles: iterations = batches * (loads + pixels * folds * words), II = 1.
#pragma once

#include "dot.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct mac_row {
    int iterations;
    int folds;    // passes over a patch: ceil(outputs / kOutputs)
    int words;    // words of a patch
    int weights;  // first entry of the task in the weight memory
    int loads;    // words of the computed operand of a batch; 0 if the operand is constant
    int skip;     // words of it that come before those of this engine's outputs
    int rows;     // outputs of this engine
    int last;     // elements of the last word of a row; what a producer left behind them does not count
    int pixels;   // of a batch
};

/// Stands for a weight memory, or a stream of operands, that an engine does not have.
struct none {};

template <class Config>
using mac_word = vec<typename Config::input_t, Config::kLanes>;

template <class Config>
using mac_weights = vec<typename Config::weight_t, Config::kLanes>;

template <class Config>
typename Config::weight_t weight_of(const mac_weights<Config> (*weights)[Config::kOutputs], int address,
                                    int p, int v) {
#pragma HLS INLINE
    return weights[address][p][v];
}
template <class Config>
typename Config::weight_t weight_of(none, int, int, int) {
#pragma HLS INLINE
    return 0;
}

template <class Config>
mac_word<Config> operand_word(stream<mac_word<Config>>& operands) {
#pragma HLS INLINE
    return operands.read();
}
template <class Config>
mac_word<Config> operand_word(none) {
#pragma HLS INLINE
    return {};
}

/// Where the words of a computed operand go: row after row, kOutputs rows side by side.
struct operand_place {
    int loads;  // words that are still to come
    int skip;
    int rows;
    int word;
    int part;
    int fold;

    explicit operand_place(const mac_row& row)
        : loads(row.loads), skip(row.skip), rows(row.rows), word(0), part(0), fold(0) {}

    bool stored() const { return skip == 0 && rows > 0; }

    void next(int words, int outputs) {
        --loads;
        if (skip > 0) {
            --skip;
        } else if (rows > 0 && ++word == words) {
            word = 0;
            --rows;
            part = part == outputs - 1 ? 0 : part + 1;
            if (part == 0) fold += words;
        }
    }
};

template <class Config, class Operands, class Weights>
void multiply(const mac_row& row, stream<mac_word<Config>>& patches, Operands& operands, Weights weights,
              stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
#pragma HLS INLINE
    using sum_t = typename Config::sum_t;
    using factor_t = typename Config::factor_t;
    constexpr bool kComputed = Config::kOperandEntries > 0;
    constexpr int kTogether = engine_dot<Config::kPaired>::kTogether;
    static_assert(Config::kOutputs % kTogether == 0, "outputs must come in pairs");
    mac_word<Config> patch[Config::kPatchWords];
    mac_word<Config> computed[Config::kOutputs][kComputed ? Config::kOperandEntries : 1];
#pragma HLS AGGREGATE variable = patch compact = bit
#pragma HLS AGGREGATE variable = computed compact = bit
#pragma HLS ARRAY_PARTITION variable = computed dim = 1 type = complete
    vec<sum_t, Config::kOutputs> sum;
#pragma HLS ARRAY_PARTITION variable = sum.data type = complete
    operand_place place(row);
    int word = 0;
    int fold = 0;
    int rows = row.rows;  // outputs that are left
    int pixel = 0;
    int address = row.weights;
Mac:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (kComputed && place.loads > 0) {
            mac_word<Config> operand = operand_word<Config>(operands);
            for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
                if (place.word == row.words - 1 && v >= row.last) operand[v] = 0;
            }
            if (place.stored()) computed[place.part][place.fold + place.word] = operand;
            place.next(row.words, Config::kOutputs);
        } else {
            mac_word<Config> input;
            if (fold == 0) {
                input = patches.read();
                patch[word] = input;
            } else {
                input = patch[word];
            }
            vec<dot_operand<typename Config::input_t>, Config::kLanes> x;
#pragma HLS ARRAY_PARTITION variable = x.data type = complete
            for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
                x[v] = input[v];
            }
            const bool constant = !kComputed || row.loads == 0;
            for (int first = 0; first < Config::kOutputs; first += kTogether) {
#pragma HLS UNROLL
                vec<dot_operand<factor_t>, kTogether * Config::kLanes> factors;
#pragma HLS ARRAY_PARTITION variable = factors.data type = complete
                for (int t = 0; t < kTogether; ++t) {
#pragma HLS UNROLL
                    const int p = first + t;
                    const mac_word<Config>& operand = computed[p][constant ? 0 : address];
                    for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
                        const typename Config::weight_t weight =
                            weight_of<Config>(weights, constant ? address : 0, p, v);
                        // One multiplier for either; rows behind the last output count as zeros.
                        factors[t * Config::kLanes + v] = constant   ? factor_t(weight)
                                                          : p < rows ? factor_t(operand[v])
                                                                     : factor_t(0);
                    }
                }
                vec<sum_t, kTogether> products;
#pragma HLS ARRAY_PARTITION variable = products.data type = complete
                engine_dot<Config::kPaired>::products(x, factors, products);
                for (int t = 0; t < kTogether; ++t) {
#pragma HLS UNROLL
                    sum[first + t] = (word == 0 ? sum_t(0) : sum[first + t]) + products[t];
                }
            }
            ++address;
            if (++word == row.words) {
                sums.write(sum);
                word = 0;
                rows -= Config::kOutputs;
                if (++fold == row.folds) {
                    fold = 0;
                    rows = row.rows;
                    address = row.weights;
                    if (kComputed && ++pixel == row.pixels) {
                        pixel = 0;
                        place = operand_place(row);
                    }
                }
            }
        }
    }
}

/// Constant weights only.
template <class Config>
void mac(int phase, stream<mac_word<Config>>& patches,
         const mac_weights<Config> weights[Config::kWeightEntries][Config::kOutputs],
         stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
    INTARSIA_PROCESS;
    none operands;
    multiply<Config>(Config::row(phase), patches, operands, weights, sums);
}

/// Constant weights in some phases, computed operands in others.
template <class Config>
void mac(int phase, stream<mac_word<Config>>& patches, stream<mac_word<Config>>& operands,
         const mac_weights<Config> weights[Config::kWeightEntries][Config::kOutputs],
         stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
    INTARSIA_PROCESS;
    multiply<Config>(Config::row(phase), patches, operands, weights, sums);
}

/// Computed operands only.
template <class Config>
void mac(int phase, stream<mac_word<Config>>& patches, stream<mac_word<Config>>& operands,
         stream<vec<typename Config::sum_t, Config::kOutputs>>& sums) {
    INTARSIA_PROCESS;
    multiply<Config>(Config::row(phase), patches, operands, none(), sums);
}

}  // namespace intarsia
