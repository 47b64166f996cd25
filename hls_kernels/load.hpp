// load: fills an on-chip memory from DRAM, once, before the first phase.
#pragma once

#include "vec.hpp"

namespace intarsia {

/// Copies `depth` entries of kSize elements, kBytes little-endian bytes each, from `source` at word `offset`.
///
/// One DRAM word per cycle. An entry starts at a DRAM word; the generator pads it.
template <int kBytes, class Element, int kSize, int kWordBytes>
void load(const vec<int8_t, kWordBytes>* source, int offset, int depth, vec<Element, kSize>* memory) {
    static_assert(kWordBytes % kBytes == 0, "a DRAM word must hold a whole number of elements");
    constexpr int kPerWord = kWordBytes / kBytes;
    constexpr int kWords = (kSize + kPerWord - 1) / kPerWord;
    vec<Element, kSize> entry;
#pragma HLS ARRAY_PARTITION variable = entry.data type = complete
    int part = 0;
    int index = 0;
Load:
    for (int i = 0; i < depth * kWords; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        const vec<int8_t, kWordBytes> word = source[offset + i];
        for (int e = 0; e < kSize; ++e) {
#pragma HLS UNROLL
            if (e / kPerWord == part) {
                int64_t value = word[(e % kPerWord + 1) * kBytes - 1];  // the sign is in the top byte
                for (int b = kBytes - 2; b >= 0; --b) {
                    value = (value << 8) | uint8_t(word[e % kPerWord * kBytes + b]);
                }
                entry[e] = Element(value);
            }
        }
        if (part == kWords - 1) {
            memory[index++] = entry;
            part = 0;
        } else {
            ++part;
        }
    }
}

/// The same for entries of one element that go to kCopies memories, so that more readers than a memory has
/// ports can each look up an entry of their own.
template <int kBytes, class Element, int kCopies, int kWordBytes>
void load(const vec<int8_t, kWordBytes>* source, int offset, int depth, Element memory[][kCopies]) {
    static_assert(kWordBytes % kBytes == 0, "a DRAM word must hold a whole number of elements");
LoadCopies:
    for (int i = 0; i < depth; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        const vec<int8_t, kWordBytes> word = source[offset + i];
        int64_t value = word[kBytes - 1];  // the sign is in the top byte
        for (int b = kBytes - 2; b >= 0; --b) {
            value = (value << 8) | uint8_t(word[b]);
        }
        for (int copy = 0; copy < kCopies; ++copy) {
#pragma HLS UNROLL
            memory[i][copy] = Element(value);
        }
    }
}

}  // namespace intarsia
