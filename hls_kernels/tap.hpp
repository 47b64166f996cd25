// Taps: a copy of a task's result, written to DRAM where the run-time register `tap` asks for it.
//
// `tap` k asks for the k-th tapped task of every phase; 0 asks for none. It is known before a phase starts,
// so no process ever polls and the network stays a Kahn network.
#pragma once

#include "memory.hpp"
#include "route.hpp"

namespace intarsia {

/// Where a tapped result goes, as transfer_row, and which units make it, as merge_row.
template <int kInputs>
struct tap_row {
    int offset;
    int run;
    int stride;
    merge_row<kInputs> from;
};

/// Passes all words on, and copies them to `tapped` if the unit's task is the one asked for. A row's `way` is
/// that task's number among the tapped tasks of the phase, or 0.
template <class Config, class Word>
void tee(int phase, int tap, stream<Word>& in, stream<Word>& out, stream<Word>& tapped) {
    INTARSIA_PROCESS;
    const switch_row row = Config::row(phase);
    const bool copy = tap != 0 && tap == row.way;
Tee:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const Word word = in.read();
        out.write(word);
        if (copy) tapped.write(word);
    }
}

/// Writes the result of the task that is asked for to DRAM.
template <class Config, class Word, class... Inputs>
void write_taps(int phase, int tap, Word* memory, Inputs&... ins) {
    INTARSIA_PROCESS;
    const tap_row<sizeof...(Inputs)> row = Config::row(phase, tap);
    turns<sizeof...(Inputs)> turn(row.from);
    walk to(row.offset, row.run, row.stride);
WriteTaps:
    for (int i = 0; i < row.from.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        memory[to.address()] = read_one(turn.input(), ins...);
        turn.next();
        to.next();
    }
}

}  // namespace intarsia
