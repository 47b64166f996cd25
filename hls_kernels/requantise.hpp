// requantise: the one place where hardware rounds. The Python twin is generator/requantisation.py. Wide must
// hold the value, half an output step, their sum, and the clamp's bounds (generator/machine/hardware.py).
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
