// circulant_exact: a circulant block with few multiplications, and without rounding. Twin of
// generator/circulant_exact.py.
//
// A circulant block is a product of polynomials modulo z^K - 1 = (z^(K/2) - 1)(z^(K/2) + 1). By the Chinese
// remainder theorem that is a product modulo each factor: the first is a circulant block of half the size,
// the second is multiplied by Karatsuba's rule and reduced. X(K) = X(K/2) + 3^log2(K/2) multiplications: 2,
// 5, 14, 41, 122 for K = 2, 4, 8, 16, 32. Everything else is additions; operands grow by log2(K) bits. The
// factor K of the result is dropped by an exact shift.
#pragma once

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

/// A form of circulant.hpp. Operand and Factor hold inputs and weights that grew by log2(kBlock) bits, Total
/// the sums of their products and all that becomes of them.
template <int kBlock, class Input, class Operand, class Weight, class Factor, class Total, class Sum>
struct circulant_exact {
    using operand_t = Operand;
    using total_t = Total;
    static constexpr int kOperands = cyclic<kBlock>::kProducts;
    static constexpr int kTotals = cyclic<kBlock>::kProducts;
    static constexpr int kShift = kBlock == 32 ? 5 : kBlock == 16 ? 4 : kBlock == 8 ? 3 : kBlock == 4 ? 2 : 1;

    static void transform(const Input* x, Operand* operand) {
#pragma HLS INLINE
        cyclic<kBlock>::evaluate(x, operand);
    }

    static void multiply(const Operand* operand, const Weight* column, Total* total) {
#pragma HLS INLINE
        Factor factor[kTotals];
        cyclic<kBlock>::evaluate(column, factor);
        for (int t = 0; t < kTotals; ++t) {
#pragma HLS UNROLL
            total[t] += Total(Total(operand[t]) * Total(factor[t]));
        }
    }

    static void finish(const Total* total, Sum* sum) {
#pragma HLS INLINE
        Total scaled[kBlock];
        cyclic<kBlock>::interpolate(total, scaled);
        for (int a = 0; a < kBlock; ++a) {
#pragma HLS UNROLL
            sum[a] = Sum(scaled[a] >> kShift);
        }
    }
};

}  // namespace intarsia
