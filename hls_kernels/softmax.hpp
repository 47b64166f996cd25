// softmax: Softmax and LogSoftmax over rows; a row is the channels of one pixel, `words` words.
//
// Four processes in a chain. The first two need a whole row before they can tell its maximum and its sum, so
// words wait in a FIFO of a row meanwhile:
//
//   softmax_maximum       words pass on; the row's maximum goes beside them
//   softmax_exponential   exp(x - maximum) of every element; the row's sum goes beside them
//   softmax_factor        once per row: the reciprocal of the sum, or its logarithm
//   softmax_scale         exponential * reciprocal, or difference - logarithm; rounded once and clamped
//
// The Python twin, with the formulas, is generator/arithmetic/integer_softmax.py.
// An exponential is fine[low bits of the difference] * coarse[high bits]; where kSplit is false it is a fine
// entry alone. Both tables of all tasks lie in one memory. A RAM has two ports: a copy of it serves two
// lanes, or one lane that needs both factors.
//
// Configs: kLanes, input_t, value_t (exponential or difference), sum_t, factor_t, and as each process needs
// kSoftmax, kLog (which of the two occur), kSplit, kEntries, kCopies, product_t, quotient_t, output_t,
// row(phase).
// Cycles: words of all rows (rows, for softmax_factor), II = 1.
#pragma once

#include "logarithm.hpp"
#include "reduce.hpp"
#include "requantise.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

/// Low bits of a difference, which address the fine table.
constexpr int kFineBits = 8;

struct softmax_maximum_row {
    int iterations;  // rows * words
    int words;       // of a row
    int channels;    // elements of a row; the rest of its last word is padding
    int period;      // of a causal mask, in rows; 0 for none
    int first;       // elements that count in the first row of a period, one more in each after it
};

struct softmax_exponential_row {
    int iterations;
    int words;
    int channels;
    int period;
    int first;
    bool log;
    int fraction;   // fractional bits of an exponential
    int fine;       // first entry of the fine table
    int fine_mask;  // entries of the fine table, a power of two, minus 1
    int coarse;     // first entry of the coarse table
};

struct softmax_factor_row {
    int iterations;  // rows
    bool log;
    int fraction;       // fractional bits of a sum
    int64_t numerator;  // what a sum divides
};

struct softmax_scale_row {
    int iterations;  // rows * words
    int words;
    bool log;
    int left_difference;  // left shifts of a difference and of a logarithm to one unit
    int left_logarithm;
    int shift;  // right shift to the output's unit
    int zero;   // zero point of the output
    int low;    // clamp, in raw output integers
    int high;
};

/// Elements of a row that count, `position` rows after the start of a causal period.
inline int softmax_limit(int channels, int period, int first, int position) {
#pragma HLS INLINE
    return period > 0 && position + first < channels ? position + first : channels;
}

template <class Config>
void softmax_maximum(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
                     stream<vec<typename Config::input_t, Config::kLanes>>& held,
                     stream<typename Config::input_t>& maxima) {
    INTARSIA_PROCESS;
    using input_t = typename Config::input_t;
    const softmax_maximum_row row = Config::row(phase);
    input_t largest = 0;
    int word = 0;
    int channel = 0;   // of the word's first lane
    int position = 0;  // of the row, within its period
SoftmaxMaximum:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const vec<input_t, Config::kLanes> x = in.read();
        held.write(x);
        const int limit = softmax_limit(row.channels, row.period, row.first, position);
        vec<input_t, Config::kLanes> counted;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            counted[v] = channel + v < limit ? x[v] : x[0];
        }
        const input_t found = reduce<maximum_of>(counted);
        if (channel == 0 || (channel < limit && found > largest)) largest = found;
        const bool last = word == row.words - 1;
        if (last) {
            maxima.write(largest);
            position = position == row.period - 1 ? 0 : position + 1;
        }
        word = last ? 0 : word + 1;
        channel = last ? 0 : channel + Config::kLanes;
    }
}

template <class Config>
void softmax_exponential(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& held,
                         stream<typename Config::input_t>& maxima,
                         const typename Config::entry_t tables[Config::kEntries][Config::kCopies],
                         stream<vec<typename Config::value_t, Config::kLanes>>& values,
                         stream<typename Config::sum_t>& sums) {
    INTARSIA_PROCESS;
    static_assert((Config::kSplit ? 1 : 2) * Config::kCopies >= Config::kLanes,
                  "a copy serves one or two lanes");
    using input_t = typename Config::input_t;
    using value_t = typename Config::value_t;
    using sum_t = typename Config::sum_t;
    using product_t = typename Config::product_t;
    const softmax_exponential_row row = Config::row(phase);
    input_t largest = 0;
    sum_t sum = 0;
    int word = 0;
    int channel = 0;
    int position = 0;
SoftmaxExponential:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (word == 0) largest = maxima.read();
        const vec<input_t, Config::kLanes> x = held.read();
        const int limit = softmax_limit(row.channels, row.period, row.first, position);
        vec<value_t, Config::kLanes> value;
        vec<sum_t, Config::kLanes> summand;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            const bool counts = channel + v < limit;
            const int difference = counts ? int(largest) - int(x[v]) : 0;
            const int copy = Config::kSplit ? v : v / 2;
            value_t exponential = tables[row.fine + (difference & row.fine_mask)][copy];
            if (Config::kSplit) {
                const product_t coarse = tables[row.coarse + (difference >> kFineBits)][copy];
                const product_t half = product_t(product_t(1) << (row.fraction - 1));
                exponential = value_t(product_t(coarse * product_t(exponential) + half) >> row.fraction);
            }
            if (!counts) exponential = 0;
            summand[v] = exponential;
            value[v] = Config::kLog && (!Config::kSoftmax || row.log) ? value_t(difference) : exponential;
        }
        values.write(value);
        const sum_t of_word = reduce<sum_of>(summand);
        sum = word == 0 ? of_word : sum_t(sum + of_word);
        const bool last = word == row.words - 1;
        if (last) {
            sums.write(sum);
            position = position == row.period - 1 ? 0 : position + 1;
        }
        word = last ? 0 : word + 1;
        channel = last ? 0 : channel + Config::kLanes;
    }
}

template <class Config>
void softmax_factor(int phase, stream<typename Config::sum_t>& sums,
                    stream<typename Config::factor_t>& factors) {
    INTARSIA_PROCESS;
    using factor_t = typename Config::factor_t;
    using quotient_t = typename Config::quotient_t;
    const softmax_factor_row row = Config::row(phase);
SoftmaxFactor:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const typename Config::sum_t sum = sums.read();
        factor_t factor = 0;
        if (Config::kSoftmax && (!Config::kLog || !row.log)) {
            const quotient_t one = quotient_t(row.numerator);
            const quotient_t divisor =
                sum > typename Config::sum_t(0) ? quotient_t(sum) : one;  // no tables yet
            factor = factor_t(quotient_t(one + quotient_t(sum >> 1)) / divisor);
        }
        if (Config::kLog && (!Config::kSoftmax || row.log)) {
            factor = factor_t(logarithm<Config::kSumBits>(sum, row.fraction));
        }
        factors.write(factor);
    }
}

template <class Config>
void softmax_scale(int phase, stream<vec<typename Config::value_t, Config::kLanes>>& values,
                   stream<typename Config::factor_t>& factors,
                   stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    using output_t = typename Config::output_t;
    using total_t = typename Config::total_t;
    const softmax_scale_row row = Config::row(phase);
    typename Config::factor_t factor = 0;
    int word = 0;
SoftmaxScale:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (word == 0) factor = factors.read();
        const vec<typename Config::value_t, Config::kLanes> value = values.read();
        vec<output_t, Config::kLanes> result;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            total_t total = 0;
            if (Config::kSoftmax && (!Config::kLog || !row.log)) total = total_t(total_t(value[v]) * factor);
            if (Config::kLog && (!Config::kSoftmax || row.log)) {
                const total_t difference = total_t(total_t(value[v]) << row.left_difference);
                total = total_t(-difference - total_t(total_t(factor) << row.left_logarithm));
            }
            const total_t rounded = shift_half_even(total, row.shift);
            result[v] = output_t(clamp(total_t(rounded + total_t(row.zero)), row.low, row.high));
        }
        out.write(result);
        word = word == row.words - 1 ? 0 : word + 1;
    }
}

}  // namespace intarsia
