// requantise: the one place where hardware rounds. The Python twin is generator/arithmetic/rounding.py. Wide
// must hold the value, half an output step, their sum, and the clamp's bounds
// (generator/machine/hardware.py).
#pragma once

#include "integer.hpp"

namespace intarsia {

/// value / 2**shift, rounded half to even; shift >= 0.
template <class Wide>
Wide shift_half_even(Wide value, int shift) {
#pragma HLS INLINE
    if (shift == 0) return value;
    const Wide half = Wide(Wide(1) << (shift - 1));
    const Wide odd = Wide(Wide(value >> shift) & Wide(1));
    return Wide(Wide(value + half - Wide(1) + odd) >> shift);
}

/// How a value is rounded; the twin of generator/arithmetic/rounding.py.
enum rounding_mode {
    kHalfEven,
    kHalfOdd,
    kFloor,
    kCeil,
    kDown,      // towards zero
    kUp,        // away from zero
    kHalfDown,  // nearest, half towards zero
    kHalfUp,    // nearest, half away from zero
    kSign       // -1 below zero, else 1
};

/// value / 2**shift, rounded as asked for; shift >= 0.
template <class Wide>
Wide shift_rounded(Wide value, int shift, int rounding) {
#pragma HLS INLINE
    const Wide floor = Wide(value >> shift);
    const Wide rest = Wide(value - Wide(floor << shift));
    const Wide half = Wide(Wide(Wide(1) << shift) >> 1);
    const bool exact = rest == Wide(0);
    const bool above = rest > half;
    const bool tie = !exact && rest == half;
    const bool odd = (floor & Wide(1)) != Wide(0);
    const bool negative = floor < Wide(0);
    bool up = above || (tie && odd);
    if (rounding == kHalfOdd) up = above || (tie && !odd);
    if (rounding == kFloor) up = false;
    if (rounding == kCeil) up = !exact;
    if (rounding == kDown) up = !exact && negative;
    if (rounding == kUp) up = !exact && !negative;
    if (rounding == kHalfDown) up = above || (tie && negative);
    if (rounding == kHalfUp) up = above || (tie && !negative);
    if (rounding == kSign) return negative ? Wide(-1) : Wide(1);
    return up ? Wide(floor + Wide(1)) : floor;
}

/// The same; only half to even is built where nothing else is asked for.
template <bool kDirected, class Wide>
Wide shift_by_mode(Wide value, int shift, int rounding) {
#pragma HLS INLINE
    return kDirected ? shift_rounded(value, shift, rounding) : shift_half_even(value, shift);
}

/// value / divisor, rounded half to even, for |value| below the bound that the generator chose reciprocal
/// for.
///
/// quotient = |value| * reciprocal >> shift is the exact floor there, so no divider is needed; rounding half
/// to even is symmetric, hence the sign is put back at the end. Product holds value * reciprocal.
template <class Product, class Wide, class Reciprocal>
Wide divide_half_even(Wide value, Wide divisor, Reciprocal reciprocal, int shift) {
#pragma HLS INLINE
    const Wide magnitude = value < Wide(0) ? Wide(-value) : value;
    const Wide quotient = Wide(Product(Product(magnitude) * Product(reciprocal)) >> shift);
    const Wide twice = Wide(Wide(magnitude - Wide(quotient * divisor)) << 1);
    const bool up = twice > divisor || (twice == divisor && (quotient & Wide(1)) != Wide(0));
    const Wide rounded = up ? Wide(quotient + Wide(1)) : quotient;
    return value < Wide(0) ? Wide(-rounded) : rounded;
}

/// The nearest value within [low, high].
template <class Wide>
Wide clamp(Wide value, int low, int high) {
#pragma HLS INLINE
    return value < Wide(low) ? Wide(low) : value > Wide(high) ? Wide(high) : value;
}

}  // namespace intarsia
