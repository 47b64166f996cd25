// dot: dot products of one word with the rows of factors of several outputs, one DSP for one or two products.
//
// Two outputs share their input, so that two products of 8 bits fit one multiplier of 25 x 18 bits, which
// the DSPs of every family have:
//
//   (b * 2^16 + a) * x = b * x * 2^16 + a * x,   |a|, |b|, |x| <= 128
//
// The lower product is the lower 16 bits, signed; taking it off leaves the upper one. Nothing wraps: the pair
// needs 25 bits, the product 32. BIND_OP makes it one DSP; left alone, Vitis HLS makes narrow products of
// LUTs or DSPs as it likes.
#pragma once

#include <type_traits>

#include "integer.hpp"
#include "vec.hpp"

namespace intarsia {

template <bool kPaired>
struct dot;

template <>
struct dot<false> {
    static constexpr int kTogether = 1;  // outputs that share multipliers

    template <class Input, int kLanes, class Factor, int kFactors, class Sum, int kOutputs>
    static void products(const vec<Input, kLanes>& x, const vec<Factor, kFactors>& factors,
                         vec<Sum, kOutputs>& sums) {
#pragma HLS INLINE
        for (int p = 0; p < kOutputs; ++p) {
#pragma HLS UNROLL
            Sum sum = 0;
            for (int v = 0; v < kLanes; ++v) {
#pragma HLS UNROLL
                const Sum product = Sum(x[v] * factors[p * kLanes + v]);
#pragma HLS BIND_OP variable = product op = mul impl = dsp
                sum += product;
            }
            sums[p] = sum;
        }
    }
};

template <>
struct dot<true> {
    static constexpr int kTogether = 2;

    template <class Input, int kLanes, class Factor, int kFactors, class Sum, int kOutputs>
    static void products(const vec<Input, kLanes>& x, const vec<Factor, kFactors>& factors,
                         vec<Sum, kOutputs>& sums) {
#pragma HLS INLINE
        static_assert(kOutputs % 2 == 0, "outputs must come in pairs");
        for (int p = 0; p < kOutputs; p += 2) {
#pragma HLS UNROLL
            Sum lower = 0;
            Sum upper = 0;
            for (int v = 0; v < kLanes; ++v) {
#pragma HLS UNROLL
                const integer<25> pair =
                    integer<25>(factors[(p + 1) * kLanes + v] * 65536 + factors[p * kLanes + v]);
                const integer<32> product = integer<32>(pair * x[v]);
#pragma HLS BIND_OP variable = product op = mul impl = dsp
                const integer<16> low = integer<16>(product);
                lower += Sum(low);
                upper += Sum((product - low) >> 16);
            }
            sums[p] = lower;
            sums[p + 1] = upper;
        }
    }
};

/// What engines use. The simulation takes plain products, which are the same numbers, and widens inputs of 8
/// bits once for all outputs: compilers then find the processor's dot product of 16-bit integers.
#if defined(__SYNTHESIS__) || defined(INTARSIA_AP_INT)
template <bool kPaired>
using engine_dot = dot<kPaired>;
template <class Input>
using dot_operand = Input;
#else
template <bool kPaired>
using engine_dot = dot<false>;
template <class Input>
using dot_operand = typename std::conditional<sizeof(Input) == 1, int16_t, Input>::type;
#endif

}  // namespace intarsia
