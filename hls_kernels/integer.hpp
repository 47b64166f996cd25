// integer<kBits>: a signed integer of at least kBits bits.
//
// C-simulation uses the next native width, which runs at native speed and needs no vendor header. Synthesis
// uses ap_int for odd widths, so that no bit of hardware is wasted. The two agree because the generator
// proves, by range analysis, that no value ever needs more than kBits bits. INTARSIA_AP_INT forces ap_int
// everywhere, to check that.
#pragma once

#include <cstdint>

#if defined(__SYNTHESIS__) || defined(INTARSIA_AP_INT)
#include <ap_int.h>
#endif

namespace intarsia {

template <int kBits>
struct native {
    static_assert(kBits >= 1 && kBits <= 64, "an integer has 1 to 64 bits");
    using type = typename native<(kBits <= 8 ? 8 : kBits <= 16 ? 16 : kBits <= 32 ? 32 : 64)>::type;
};
template <>
struct native<8> {
    using type = int8_t;
};
template <>
struct native<16> {
    using type = int16_t;
};
template <>
struct native<32> {
    using type = int32_t;
};
template <>
struct native<64> {
    using type = int64_t;
};

#if defined(INTARSIA_AP_INT)
template <int kBits>
struct exact {
    using type = ap_int<kBits>;
};
#elif defined(__SYNTHESIS__)
template <int kBits>
struct exact {
    using type = ap_int<kBits>;
};
template <>
struct exact<8> : native<8> {};
template <>
struct exact<16> : native<16> {};
template <>
struct exact<32> : native<32> {};
template <>
struct exact<64> : native<64> {};
#else
template <int kBits>
struct exact : native<kBits> {};
#endif

template <int kBits>
using integer = typename exact<kBits>::type;

}  // namespace intarsia
