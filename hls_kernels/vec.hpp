// vec: N elements side by side, the word that streams and memories carry.
//
// A plain array in a struct, without padding in C-simulation. Vitis HLS packs it into one wide word in
// streams and on interfaces by itself; a memory of such words needs `AGGREGATE variable = ... compact = bit`
// where it is declared, or it would become one memory per element. A single word that is computed on is
// partitioned into registers instead.
#pragma once

namespace intarsia {

template <class Element, int kSize>
struct vec {
    Element data[kSize];

    Element& operator[](int i) { return data[i]; }
    const Element& operator[](int i) const { return data[i]; }
};

}  // namespace intarsia
