// Switches between the units: the reconfiguration of the datapath, one row of the program per phase.
#pragma once

#include "stream.hpp"

namespace intarsia {

/// Words to pass in a phase. For route, `way` is a bit mask of outputs; for select, the index of the input.
struct switch_row {
    int words;
    int way;
};

template <class Word>
void write_masked(const Word&, int) {}

template <class Word, class First, class... Rest>
void write_masked(const Word& word, int mask, First& first, Rest&... rest) {
#pragma HLS INLINE
    if (mask & 1) first.write(word);
    write_masked(word, mask >> 1, rest...);
}

template <class Word>
void pass(int words, stream<Word>& in, stream<Word>& out) {
#pragma HLS INLINE
Pass:
    for (int i = 0; i < words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        out.write(in.read());
    }
}

template <class Word>
void select_from(const switch_row&, int, stream<Word>&) {}

template <class Word, class First, class... Rest>
void select_from(const switch_row& row, int index, stream<Word>& out, First& first, Rest&... rest) {
#pragma HLS INLINE
    if (row.way == index) pass(row.words, first, out);
    select_from(row, index + 1, out, rest...);
}

/// Sends each word of `in` to the outputs that the phase's mask names.
template <class Config, class Word, class... Outputs>
void route(int phase, stream<Word>& in, Outputs&... outs) {
    INTARSIA_PROCESS;
    const switch_row row = Config::row(phase);
Route:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        write_masked(in.read(), row.way, outs...);
    }
}

/// Passes on the words of the one input that the phase names.
template <class Config, class Word, class... Inputs>
void select(int phase, stream<Word>& out, Inputs&... ins) {
    INTARSIA_PROCESS;
    select_from(Config::row(phase), 0, out, ins...);
}

}  // namespace intarsia
