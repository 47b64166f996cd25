// Transfers between a memory (DRAM through m_axi, or an on-chip bank) and a stream.
#pragma once

#include "nest.hpp"
#include "stream.hpp"

namespace intarsia {

/// One transfer of a phase: `words` words from `offset` on, in runs of `run` words that start `stride` words
/// apart. `memory` selects among the memories that a process is connected to; words 0 means no transfer.
struct transfer_row {
    int memory;
    int offset;
    int words;
    int run;
    int stride;
};

/// The addresses of a transfer, one after the other.
class walk {
   public:
    walk(int offset, int run, int stride) : run_(run), jump_(stride - run), address_(offset), left_(run) {}

    int address() const { return address_; }

    void next() {
        ++address_;
        if (--left_ == 0) {
            left_ = run_;
            address_ += jump_;
        }
    }

   private:
    const int run_;
    const int jump_;
    int address_;
    int left_;
};

/// One piece, in address order: bursts where the memory is DRAM.
template <class Word>
void read_words(const Word* memory, const transfer_row& row, stream<Word>& out) {
Read:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        out.write(memory[row.offset + i]);
    }
}

template <class Word>
void write_words(stream<Word>& in, const transfer_row& row, Word* memory) {
    if (row.run == row.words) {  // one piece: a loop of its own, so that bursts can be inferred
    Write:
        for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
            INTARSIA_ITERATION;
            memory[row.offset + i] = in.read();
        }
    } else {
        walk to(row.offset, row.run, row.stride);
    WriteRuns:
        for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
            INTARSIA_ITERATION;
            memory[to.address()] = in.read();
            to.next();
        }
    }
}

/// Feeds a phase from one memory.
template <class Config, class Word>
void fetch(int phase, const Word* memory, stream<Word>& out) {
    INTARSIA_PROCESS;
    read_words(memory, Config::row(phase), out);
}

/// Feeds a phase from DRAM (memory 0) or from the on-chip bank (memory 1).
template <class Config, class Word>
void fetch(int phase, const Word* dram, const Word* bank, stream<Word>& out) {
    INTARSIA_PROCESS;
    const transfer_row row = Config::row(phase);
    if (row.memory == 0) {
        read_words(dram, row, out);
    } else {
        read_words(bank, row, out);
    }
}

/// A transfer in one piece, or, where there are iterations, the words that a nest of counters walks over: its
/// addresses count elements. Steps without a source send nothing.
template <int kDims>
struct view_row {
    transfer_row piece;
    int iterations;
    nest_row<kDims> nest;
};

/// Config: kLanes (a power of two), row(phase).
template <class Config, class Word, int kDims>
void read_view(const Word* memory, const view_row<kDims>& row, stream<Word>& out) {
    if (row.iterations == 0) {
        read_words(memory, row.piece, out);
        return;
    }
    nest<kDims> from(row.nest);
ReadView:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (from.sourced()) out.write(memory[row.piece.offset + unsigned(from.address()) / Config::kLanes]);
        from.next();
    }
}

/// Feeds a phase from one memory, in order or as a view.
template <class Config, class Word>
void fetch_view(int phase, const Word* memory, stream<Word>& out) {
    INTARSIA_PROCESS;
    read_view<Config>(memory, Config::row(phase), out);
}

/// The same from DRAM (memory 0) or from the on-chip bank (memory 1).
template <class Config, class Word>
void fetch_view(int phase, const Word* dram, const Word* bank, stream<Word>& out) {
    INTARSIA_PROCESS;
    const auto row = Config::row(phase);
    if (row.piece.memory == 0) {
        read_view<Config>(dram, row, out);
    } else {
        read_view<Config>(bank, row, out);
    }
}

/// Stores the result of a phase in one memory.
template <class Config, class Word>
void collect(int phase, stream<Word>& in, Word* memory) {
    INTARSIA_PROCESS;
    write_words(in, Config::row(phase), memory);
}

/// Stores the result of a phase in DRAM (memory 0) or in the on-chip bank (memory 1).
template <class Config, class Word>
void collect(int phase, stream<Word>& in, Word* dram, Word* bank) {
    INTARSIA_PROCESS;
    const transfer_row row = Config::row(phase);
    if (row.memory == 0) {
        write_words(in, row, dram);
    } else {
        write_words(in, row, bank);
    }
}

}  // namespace intarsia
