// circulant_exact: a circulant block with few multiplications, and without rounding. Twin of
// generator/circulant/exact.py.
//
// A circulant block is a product of polynomials modulo z^K - 1 = (z^(K/2) - 1)(z^(K/2) + 1). By the Chinese
// remainder theorem that is a product modulo each factor: the first is a circulant block of half the size,
// the second is multiplied by Karatsuba's rule and reduced. X(K) = X(K/2) + 3^log2(K/2) multiplications: 2,
// 5, 14, 41, 122 for K = 2, 4, 8, 16, 32. Everything else is additions; operands grow by log2(K) bits. The
// factor K of the result is dropped by an exact shift.
#pragma once

#include "product.hpp"

namespace intarsia {

/// Products of polynomials of kSize coefficients by Karatsuba's rule.
template <int kSize>
struct karatsuba {
    static constexpr int kHalf = kSize / 2;
    static constexpr int kProducts = 3 * karatsuba<kHalf>::kProducts;

    /// The operands of the products: of the lower half, of the upper half, and of their sum.
    template <class In, class Out>
    static void evaluate(const In* x, Out* points) {
#pragma HLS INLINE
        Out both[kHalf];
        for (int i = 0; i < kHalf; ++i) {
#pragma HLS UNROLL
            both[i] = Out(x[i] + x[kHalf + i]);
        }
        karatsuba<kHalf>::evaluate(x, points);
        karatsuba<kHalf>::evaluate(x + kHalf, points + kProducts / 3);
        karatsuba<kHalf>::evaluate(both, points + 2 * (kProducts / 3));
    }

    /// The 2 * kSize - 1 coefficients of the product.
    template <class Sum>
    static void interpolate(const Sum* products, Sum* coefficients) {
#pragma HLS INLINE
        Sum low[kSize - 1], high[kSize - 1], both[kSize - 1];
        karatsuba<kHalf>::interpolate(products, low);
        karatsuba<kHalf>::interpolate(products + kProducts / 3, high);
        karatsuba<kHalf>::interpolate(products + 2 * (kProducts / 3), both);
        for (int i = 0; i < 2 * kSize - 1; ++i) {
#pragma HLS UNROLL
            coefficients[i] = i < kSize - 1 ? low[i] : i < kSize ? Sum(0) : high[i - kSize];
        }
        for (int i = 0; i < kSize - 1; ++i) {
#pragma HLS UNROLL
            coefficients[kHalf + i] += Sum(both[i] - low[i] - high[i]);
        }
    }
};

template <>
struct karatsuba<1> {
    static constexpr int kProducts = 1;

    template <class In, class Out>
    static void evaluate(const In* x, Out* points) {
#pragma HLS INLINE
        points[0] = x[0];
    }

    template <class Sum>
    static void interpolate(const Sum* products, Sum* coefficients) {
#pragma HLS INLINE
        coefficients[0] = products[0];
    }
};

/// Products of polynomials of kSize coefficients modulo z^kSize - 1.
template <int kSize>
struct cyclic {
    static constexpr int kHalf = kSize / 2;
    static constexpr int kProducts = cyclic<kHalf>::kProducts + karatsuba<kHalf>::kProducts;

    template <class In, class Out>
    static void evaluate(const In* x, Out* points) {
#pragma HLS INLINE
        Out plus[kHalf], minus[kHalf];
        for (int i = 0; i < kHalf; ++i) {
#pragma HLS UNROLL
            plus[i] = Out(x[i] + x[kHalf + i]);
            minus[i] = Out(x[i] - x[kHalf + i]);
        }
        cyclic<kHalf>::evaluate(plus, points);
        karatsuba<kHalf>::evaluate(minus, points + cyclic<kHalf>::kProducts);
    }

    /// kSize times the coefficients.
    template <class Sum>
    static void interpolate(const Sum* products, Sum* coefficients) {
#pragma HLS INLINE
        Sum plus[kHalf], whole[kSize - 1];
        cyclic<kHalf>::interpolate(products, plus);
        karatsuba<kHalf>::interpolate(products + cyclic<kHalf>::kProducts, whole);
        for (int i = 0; i < kHalf; ++i) {
#pragma HLS UNROLL
            const Sum reduced = i < kHalf - 1 ? Sum(whole[i] - whole[kHalf + i]) : whole[i];
            const Sum minus = Sum(reduced * Sum(kHalf));
            coefficients[i] = Sum(plus[i] + minus);
            coefficients[kHalf + i] = Sum(plus[i] - minus);
        }
    }
};

template <>
struct cyclic<1> {
    static constexpr int kProducts = 1;

    template <class In, class Out>
    static void evaluate(const In* x, Out* points) {
#pragma HLS INLINE
        points[0] = x[0];
    }

    template <class Sum>
    static void interpolate(const Sum* products, Sum* coefficients) {
#pragma HLS INLINE
        coefficients[0] = products[0];
    }
};

/// A form of circulant.hpp. Operand and Factor hold inputs and weights that grew by log2(kSize) bits, Total
/// the sums of their products and all that becomes of them; kCut bits of a factor are multiplied without DSP.
///
/// A block is also, for every kSize that divides it, kStride x kStride circulant blocks of kSize = kBlock /
/// kStride: of every kStride-th input, output and weight. Smaller ones need more products, and fewer
/// additions and bits. Block (s, u) has element d = column[(d * kStride + s - u) mod kBlock], which depends
/// on s - u only.
template <int kBlock, int kSize, int kCut, class Input, class Operand, class Weight, class Factor,
          class Total, class Sum>
struct exact_form {
    using operand_t = Operand;
    using total_t = Total;
    static constexpr int kStride = kBlock / kSize;
    static constexpr int kProducts = cyclic<kSize>::kProducts;
    static constexpr int kOperands = kStride * kProducts;
    static constexpr int kTotals = kStride * kProducts;
    static constexpr int kShift = kSize == 32 ? 5 : kSize == 16 ? 4 : kSize == 8 ? 3 : kSize == 4 ? 2 : 1;

    static void transform(const Input* x, Operand* operand) {
#pragma HLS INLINE
        for (int u = 0; u < kStride; ++u) {
#pragma HLS UNROLL
            Input part[kSize];
            for (int b = 0; b < kSize; ++b) {
#pragma HLS UNROLL
                part[b] = x[b * kStride + u];
            }
            cyclic<kSize>::evaluate(part, operand + u * kProducts);
        }
    }

    static void multiply(const Operand* operand, const Weight* column, Total* total) {
#pragma HLS INLINE
        constexpr int kDifferent = 2 * kStride - 1;  // s - u, from 1 - kStride on
        Factor factors[kDifferent * kProducts];
        for (int i = 0; i < kDifferent; ++i) {
#pragma HLS UNROLL
            Weight part[kSize];
            for (int d = 0; d < kSize; ++d) {
#pragma HLS UNROLL
                part[d] = column[(d * kStride + i + 1 - kStride) & (kBlock - 1)];
            }
            cyclic<kSize>::evaluate(part, factors + i * kProducts);
        }
        for (int s = 0; s < kStride; ++s) {
#pragma HLS UNROLL
            for (int u = 0; u < kStride; ++u) {
#pragma HLS UNROLL
                const int first = (s - u + kStride - 1) * kProducts;
                for (int t = 0; t < kProducts; ++t) {
#pragma HLS UNROLL
                    total[s * kProducts + t] +=
                        product<kCut>::template of<Total>(operand[u * kProducts + t], factors[first + t]);
                }
            }
        }
    }

    static void finish(const Total* total, Sum* sum) {
#pragma HLS INLINE
        for (int s = 0; s < kStride; ++s) {
#pragma HLS UNROLL
            Total scaled[kSize];
            cyclic<kSize>::interpolate(total + s * kProducts, scaled);
            for (int a = 0; a < kSize; ++a) {
#pragma HLS UNROLL
                sum[a * kStride + s] = Sum(scaled[a] >> kShift);
            }
        }
    }
};

}  // namespace intarsia
