// vec: N elements side by side, the word that streams and memories carry.
//
// A plain array in a struct: no padding in C-simulation, one wide word in hardware (Vitis HLS aggregates the struct).
#pragma once

namespace intarsia {

template <class Element, int kSize>
struct vec {
    Element data[kSize];

    Element& operator[](int i) { return data[i]; }
    const Element& operator[](int i) const { return data[i]; }
};

}  // namespace intarsia
