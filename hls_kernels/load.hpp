// load and prefetch: fill on-chip memories from DRAM, before the first phase or while one runs.
#pragma once

#include "timing.hpp"
#include "vec.hpp"

namespace intarsia {

/// Copies `depth` entries of kSize elements, kBytes little-endian bytes each, from `source` at word `offset`.
///
/// One DRAM word per cycle. An entry starts at a DRAM word; the generator pads it. Returns the offset behind
/// the last one.
template <int kBytes, class Element, int kSize, int kWordBytes>
int load(const vec<int8_t, kWordBytes>* source, int offset, int depth, vec<Element, kSize>* memory) {
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
        INTARSIA_ITERATION;
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
    return offset + depth * kWords;
}

/// The same for entries of kRows words that lie in memories side by side: `memory` is partitioned by rows.
template <int kBytes, class Element, int kLanes, int kRows, int kWordBytes>
int load(const vec<int8_t, kWordBytes>* source, int offset, int depth, vec<Element, kLanes> memory[][kRows]) {
    constexpr int kPerWord = kWordBytes / kBytes;
    constexpr int kParts = kLanes > kPerWord ? kLanes / kPerWord : 1;     // DRAM words of a row
    constexpr int kTogether = kPerWord > kLanes ? kPerWord / kLanes : 1;  // rows of a DRAM word
    static_assert(kLanes % kPerWord == 0 || kPerWord % kLanes == 0, "rows and DRAM words must fit");
    constexpr int kWords = (kRows * kLanes + kPerWord - 1) / kPerWord;
    vec<Element, kLanes> rows[kTogether];
#pragma HLS ARRAY_PARTITION variable = rows type = complete
    int part = 0;   // of a row
    int group = 0;  // of rows
    int index = 0;
LoadRows:
    for (int i = 0; i < depth * kWords; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const vec<int8_t, kWordBytes> word = source[offset + i];
        for (int e = 0; e < kLanes * kTogether; ++e) {
#pragma HLS UNROLL
            if (kParts == 1 || e / kPerWord == part) {
                const int at = e % kPerWord * kBytes;
                int64_t value = word[at + kBytes - 1];  // the sign is in the top byte
                for (int b = kBytes - 2; b >= 0; --b) {
                    value = (value << 8) | uint8_t(word[at + b]);
                }
                rows[e / kLanes][e % kLanes] = Element(value);
            }
        }
        if (part == kParts - 1) {
            for (int p = 0; p < kRows; ++p) {
#pragma HLS UNROLL
                if (p / kTogether == group) memory[index][p] = rows[p % kTogether];
            }
            part = 0;
            const bool last = group == (kRows - 1) / kTogether;
            group = last ? 0 : group + 1;
            if (last) ++index;
        } else {
            ++part;
        }
    }
    return offset + depth * kWords;
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

/// What to fetch while a phase runs: the weights of the next phase, `entries` for each memory in turn.
template <int kMemories>
struct prefetch_row {
    int offset;
    int entries[kMemories];
};

template <int kBytes, class Source>
void load_all(const Source*, int, const int*) {}

template <int kBytes, class Source, class First, class... Rest>
void load_all(const Source* source, int offset, const int* entries, First* first, Rest*... rest) {
#pragma HLS INLINE
    const int end = load<kBytes>(source, offset, entries[0], first);
    load_all<kBytes>(source, end, entries + 1, rest...);
}

/// Fills the memories that the next phase will read, while the first sample of a launch passes through this
/// one. Config: kBytes (of an element), row(phase).
template <class Config, class Source, class... Memories>
void prefetch(int phase, unsigned sample, const Source* source, Memories*... memories) {
    INTARSIA_PROCESS;
    const prefetch_row<sizeof...(Memories)> row = Config::row(phase);
    if (sample == 0) load_all<Config::kBytes>(source, row.offset, row.entries, memories...);
}

}  // namespace intarsia
