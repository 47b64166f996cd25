// Transfers between a memory (DRAM through m_axi, or an on-chip bank) and a stream.
#pragma once

#include "stream.hpp"

namespace intarsia {

/// One transfer of a phase. `memory` selects among the memories a process is connected to; words 0 means
/// none.
struct transfer_row {
    int memory;
    int offset;
    int words;
};

template <class Word>
void read_words(const Word* memory, int offset, int words, stream<Word>& out) {
Read:
    for (int i = 0; i < words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        out.write(memory[offset + i]);
    }
}

template <class Word>
void write_words(stream<Word>& in, int offset, int words, Word* memory) {
Write:
    for (int i = 0; i < words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        memory[offset + i] = in.read();
    }
}

/// Feeds a phase from one memory.
template <class Config, class Word>
void fetch(int phase, const Word* memory, stream<Word>& out) {
    INTARSIA_PROCESS;
    const transfer_row row = Config::row(phase);
    read_words(memory, row.offset, row.words, out);
}

/// Feeds a phase from DRAM (memory 0) or from the on-chip bank (memory 1).
template <class Config, class Word>
void fetch(int phase, const Word* dram, const Word* bank, stream<Word>& out) {
    INTARSIA_PROCESS;
    const transfer_row row = Config::row(phase);
    if (row.memory == 0) {
        read_words(dram, row.offset, row.words, out);
    } else {
        read_words(bank, row.offset, row.words, out);
    }
}

/// Stores the result of a phase in one memory.
template <class Config, class Word>
void collect(int phase, stream<Word>& in, Word* memory) {
    INTARSIA_PROCESS;
    const transfer_row row = Config::row(phase);
    write_words(in, row.offset, row.words, memory);
}

/// Stores the result of a phase in DRAM (memory 0) or in the on-chip bank (memory 1).
template <class Config, class Word>
void collect(int phase, stream<Word>& in, Word* dram, Word* bank) {
    INTARSIA_PROCESS;
    const transfer_row row = Config::row(phase);
    if (row.memory == 0) {
        write_words(in, row.offset, row.words, dram);
    } else {
        write_words(in, row.offset, row.words, bank);
    }
}

}  // namespace intarsia
