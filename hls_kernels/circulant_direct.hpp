// circulant_direct: a circulant block as a matrix of rotated columns, which costs wires only.
#pragma once

namespace intarsia {

/// A form of circulant.hpp: element (a, b) of a block is column[(a - b) mod kBlock].
template <int kBlock, class Input, class Weight, class Sum>
struct circulant_direct {
    using operand_t = Input;
    using total_t = Sum;
    static constexpr int kOperands = kBlock;
    static constexpr int kTotals = kBlock;

    static void transform(const Input* x, Input* operand) {
#pragma HLS INLINE
        for (int b = 0; b < kBlock; ++b) {
#pragma HLS UNROLL
            operand[b] = x[b];
        }
    }

    static void multiply(const Input* x, const Weight* column, Sum* total) {
#pragma HLS INLINE
        for (int a = 0; a < kBlock; ++a) {
#pragma HLS UNROLL
            Sum products = 0;
            for (int b = 0; b < kBlock; ++b) {
#pragma HLS UNROLL
                products += Sum(x[b] * column[(a - b) & (kBlock - 1)]);
            }
            total[a] += products;
        }
    }

    static void finish(const Sum* total, Sum* sum) {
#pragma HLS INLINE
        for (int a = 0; a < kBlock; ++a) {
#pragma HLS UNROLL
            sum[a] = total[a];
        }
    }
};

}  // namespace intarsia
