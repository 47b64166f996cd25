// product: a product whose second operand is a few bits too wide for the port of a DSP.
//
// DSPs of all families multiply 25 x 18 bits, signed. Of a second operand of 18 + kCut bits the kCut lowest
// ones are multiplied by themselves, which takes a conditional addition each:
//
//   left * right = left * (right >> kCut) * 2^kCut + left * (right mod 2^kCut)
//
// where right >> kCut rounds down, so that the rest is not negative. One DSP then does what would take two.
#pragma once

namespace intarsia {

template <int kCut>
struct product {
    static_assert(kCut > 0, "without a cut the product is the plain one");

    template <class Total, class Left, class Right>
    static Total of(const Left& left, const Right& right) {
#pragma HLS INLINE
        Total sum = Total(Total(Total(left) * Total(right >> kCut)) * Total(1 << kCut));
        for (int bit = 0; bit < kCut; ++bit) {
#pragma HLS UNROLL
            if (((right >> bit) & 1) != 0) sum += Total(Total(left) * Total(1 << bit));
        }
        return sum;
    }
};

template <>
struct product<0> {
    template <class Total, class Left, class Right>
    static Total of(const Left& left, const Right& right) {
#pragma HLS INLINE
        return Total(Total(left) * Total(right));
    }
};

}  // namespace intarsia
