// Taps: a copy of one unit's results, written to DRAM where the run-time register `tap` asks for it.
//
// One unit is tapped per launch. Its number is known before the phase starts, so no process ever polls and
// the network stays a Kahn network.
#pragma once

#include "memory.hpp"
#include "route.hpp"

namespace intarsia {

/// Passes all words on; copies them to `tapped` if this unit is the one asked for. A row's `way` is 0 where
/// the result is an output of the model, which is seen without a tap.
template <class Config, class Word>
void tee(int phase, int tap, stream<Word>& in, stream<Word>& out, stream<Word>& tapped) {
    INTARSIA_PROCESS;
    const switch_row row = Config::row(phase);
    const bool copy = tap == Config::kTap && row.way != 0;
Tee:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const Word word = in.read();
        out.write(word);
        if (copy) tapped.write(word);
    }
}

template <class Config, class Word>
void write_tapped(int, int, int, Word*) {}

template <class Config, class Word, class First, class... Rest>
void write_tapped(int phase, int tap, int unit, Word* memory, First& first, Rest&... rest) {
#pragma HLS INLINE
    if (tap == unit) {
        const transfer_row row = Config::row(phase, unit);
        write_words(first, row.offset, row.words, memory);
    }
    write_tapped<Config>(phase, tap, unit + 1, memory, rest...);
}

/// Writes the words of the tapped unit to DRAM. Unit numbers start at 1; tap 0 writes nothing.
template <class Config, class Word, class... Inputs>
void write_taps(int phase, int tap, Word* memory, Inputs&... ins) {
    INTARSIA_PROCESS;
    write_tapped<Config>(phase, tap, 1, memory, ins...);
}

}  // namespace intarsia
