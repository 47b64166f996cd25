// norm: layer normalisation over rows; a row is the channels of one pixel, `words` words.
//
// Three processes in a chain. The first needs a whole row for its moments, so words wait in a FIFO of a row
// meanwhile:
//
//   norm_moments   words pass on; sum and sum of squares of the row go beside them
//   norm_inverse   once per row: 1 / sqrt(n * squares - sum**2 + n**2 * epsilon), normalised
//   norm_scale     z = (n * x - sum) * inverse; z * gamma + beta; rounded once and clamped
//
// The Python twin, with the formulas, is generator/arithmetic/integer_norm.py. The reciprocal root has as
// many bits whatever the variance is, since the radicand is shifted until its leading one is in one of two
// places.
//
// Configs: kLanes, kRootBits, kRadicandBits, kEntries, input_t, output_t, sum_t, square_t, radicand_t
// (the radicand, and twice kRootBits), inverse_t, product_t, gamma_t, beta_t, total_t, row(phase).
// Cycles: words of all rows (rows, for norm_inverse), II = 1.
#pragma once

#include "leading_one.hpp"
#include "reduce.hpp"
#include "requantise.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

/// What norm_moments tells of a row.
template <class Sum, class Square>
struct norm_moments_of {
    Sum sum;  // 0 where the mean stays
    Square squares;
};

/// What norm_inverse tells of a row: (n * x - sum) * inverse >> shift is z.
template <class Sum, class Inverse>
struct norm_inverse_of {
    Sum sum;
    Inverse inverse;  // 0 for a row without variance
    int8_t shift;
};

struct norm_moments_row {
    int iterations;  // rows * words
    int words;       // of a row
    int channels;    // n; the rest of the last word is padding
    bool centre;     // take the mean off
};

struct norm_inverse_row {
    int iterations;  // rows
    int channels;
    int guard;  // fractional bits of the radicand, even
    int64_t epsilon;
    int root_bits;
    int shift;  // right shift of a product to z, less half the left shift of the radicand
};

struct norm_scale_row {
    int iterations;  // rows * words
    int words;
    int channels;
    int entry;       // first of gamma and beta
    int beta_shift;  // left shift of beta to the unit of z * gamma
    int shift;       // right shift from there to the output's unit
    int zero;        // zero point of the output
    int low;         // clamp, in raw output integers
    int high;
};

template <class Config>
void norm_moments(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
                  stream<vec<typename Config::input_t, Config::kLanes>>& held,
                  stream<norm_moments_of<typename Config::sum_t, typename Config::square_t>>& moments) {
    INTARSIA_PROCESS;
    using sum_t = typename Config::sum_t;
    using square_t = typename Config::square_t;
    const norm_moments_row row = Config::row(phase);
    sum_t sum = 0;
    square_t squares = 0;
    int word = 0;
    int channel = 0;  // of the word's first lane
NormMoments:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const vec<typename Config::input_t, Config::kLanes> x = in.read();
        held.write(x);
        vec<sum_t, Config::kLanes> value;
        vec<square_t, Config::kLanes> square;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            value[v] = channel + v < row.channels ? sum_t(x[v]) : sum_t(0);
            square[v] = square_t(square_t(value[v]) * square_t(value[v]));
        }
        const sum_t of_word = reduce<sum_of>(value);
        const square_t squares_of_word = reduce<sum_of>(square);
        sum = word == 0 ? of_word : sum_t(sum + of_word);
        squares = word == 0 ? squares_of_word : square_t(squares + squares_of_word);
        const bool last = word == row.words - 1;
        if (last) moments.write({row.centre ? sum : sum_t(0), squares});
        word = last ? 0 : word + 1;
        channel = last ? 0 : channel + Config::kLanes;
    }
}

/// floor(sqrt(value)), of a number below 4**kBits: one binary digit after the other.
template <int kBits, class Value>
Value integer_root(Value value) {
#pragma HLS INLINE
    Value root = 0;
    Value rest = 0;
    for (int digit = kBits - 1; digit >= 0; --digit) {
#pragma HLS UNROLL
        rest = Value(Value(rest << 2) | Value(Value(value >> (2 * digit)) & Value(3)));
        const Value trial = Value(Value(root << 2) | Value(1));
        const bool fits = rest >= trial;
        if (fits) rest = Value(rest - trial);
        root = Value(Value(root << 1) | Value(fits ? 1 : 0));
    }
    return root;
}

template <class Config>
void norm_inverse(int phase,
                  stream<norm_moments_of<typename Config::sum_t, typename Config::square_t>>& moments,
                  stream<norm_inverse_of<typename Config::sum_t, typename Config::inverse_t>>& inverses) {
    INTARSIA_PROCESS;
    using radicand_t = typename Config::radicand_t;
    using inverse_t = typename Config::inverse_t;
    const norm_inverse_row row = Config::row(phase);
NormInverse:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const norm_moments_of<typename Config::sum_t, typename Config::square_t> moment = moments.read();
        const radicand_t sum = moment.sum;
        const radicand_t spread =
            radicand_t(radicand_t(row.channels) * radicand_t(moment.squares)) - radicand_t(sum * sum);
        const bool varies = spread > radicand_t(0);
        const radicand_t radicand =
            varies ? radicand_t(radicand_t(spread << row.guard) + radicand_t(row.epsilon)) : radicand_t(1);
        const int half = (2 * row.root_bits - 1 - leading_one<Config::kRadicandBits>(radicand)) >> 1;
        const radicand_t scaled =
            half >= 0 ? radicand_t(radicand << (2 * half)) : radicand_t(radicand >> (-2 * half));
        const radicand_t root = integer_root<Config::kRootBits>(scaled);
        const radicand_t one = radicand_t(radicand_t(1) << (2 * row.root_bits));
        const inverse_t inverse = inverse_t(radicand_t(one + radicand_t(root >> 1)) / root);
        const int shift = row.shift - half;
        inverses.write({moment.sum, varies ? inverse : inverse_t(0), int8_t(varies ? shift : 0)});
    }
}

template <class Config>
void norm_scale(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& held,
                stream<norm_inverse_of<typename Config::sum_t, typename Config::inverse_t>>& inverses,
                const vec<typename Config::gamma_t, Config::kLanes> gammas[Config::kEntries],
                const vec<typename Config::beta_t, Config::kLanes> betas[Config::kEntries],
                stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    using output_t = typename Config::output_t;
    using product_t = typename Config::product_t;
    using total_t = typename Config::total_t;
    const norm_scale_row row = Config::row(phase);
    norm_inverse_of<typename Config::sum_t, typename Config::inverse_t> of_row = {0, 0, 0};
    int word = 0;
NormScale:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (word == 0) of_row = inverses.read();
        const vec<typename Config::input_t, Config::kLanes> x = held.read();
        const vec<typename Config::gamma_t, Config::kLanes> gamma = gammas[row.entry + word];
        const vec<typename Config::beta_t, Config::kLanes> beta = betas[row.entry + word];
        vec<output_t, Config::kLanes> result;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            const product_t centred = product_t(row.channels) * product_t(x[v]) - product_t(of_row.sum);
            const total_t z =
                total_t(shift_half_even(product_t(centred * product_t(of_row.inverse)), of_row.shift));
            const total_t total = z * total_t(gamma[v]) + total_t(total_t(beta[v]) << row.beta_shift);
            const total_t rounded = shift_half_even(total, row.shift);
            result[v] = output_t(clamp(total_t(rounded + total_t(row.zero)), row.low, row.high));
        }
        out.write(result);
        word = word == row.words - 1 ? 0 : word + 1;
    }
}

}  // namespace intarsia
