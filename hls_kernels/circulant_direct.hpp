// circulant_direct: a circulant block as a matrix of rotated columns, which costs wires only.
#pragma once

#include "dot.hpp"
#include "vec.hpp"

namespace intarsia {

/// A form of circulant.hpp: element (a, b) of a block is column[(a - b) mod kBlock]. kPaired: two products
/// per DSP.
template <int kBlock, bool kPaired, class Input, class Weight, class Sum>
struct direct_form {
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
        vec<Input, kBlock> inputs;
        vec<Weight, kBlock * kBlock> rotated;
#pragma HLS ARRAY_PARTITION variable = inputs.data type = complete
#pragma HLS ARRAY_PARTITION variable = rotated.data type = complete
        for (int a = 0; a < kBlock; ++a) {
#pragma HLS UNROLL
            inputs[a] = x[a];
            for (int b = 0; b < kBlock; ++b) {
#pragma HLS UNROLL
                rotated[a * kBlock + b] = column[(a - b) & (kBlock - 1)];
            }
        }
        vec<Sum, kBlock> products;
#pragma HLS ARRAY_PARTITION variable = products.data type = complete
        dot<kPaired>::products(inputs, rotated, products);
        for (int a = 0; a < kBlock; ++a) {
#pragma HLS UNROLL
            total[a] += products[a];
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
