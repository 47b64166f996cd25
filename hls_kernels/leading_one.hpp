// leading_one: the place of the highest bit that is set, which normalises a number of unknown size.
#pragma once

namespace intarsia {

/// 0 for 0 and 1; the value is not negative and below 2**kBits.
template <int kBits, class Value>
int leading_one(Value value) {
#pragma HLS INLINE
    int place = 0;
    for (int bit = 1; bit < kBits; ++bit) {
#pragma HLS UNROLL
        if ((value >> bit) != Value(0)) place = bit;
    }
    return place;
}

}  // namespace intarsia
