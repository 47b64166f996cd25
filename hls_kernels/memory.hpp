// Transfers between a memory (DRAM through m_axi, or an on-chip bank) and a stream.
#pragma once

#include "nest.hpp"
#include "stream.hpp"

namespace intarsia {

/// One transfer of a phase: `words` words from `offset` on, in runs of `run` words that start `stride` words
/// apart. `memory` selects among the memories that a process is connected to; words 0 means no transfer. Each
/// further sample of a launch lies `step` words further on.
struct transfer_row {
    int memory;
    int offset;
    int words;
    int run;
    int stride;
    int step;
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

/// A transfer in one piece, or, where there are iterations, the words that a nest of counters walks over: its
/// addresses count elements. Steps without a source send nothing.
template <class Nest>
struct view_row {
    transfer_row piece;
    int iterations;
    Nest nest;
};

/// Config: kLanes (a power of two), row(phase), and what nest.hpp needs.
template <class Config, class Word, class Nest>
void read_view(const Word* memory, const view_row<Nest>& row, stream<Word>& out) {
    if (row.iterations == 0) {
        read_words(memory, row.piece, out);
        return;
    }
    nest<Config, Nest> from(row.nest);
ReadView:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (from.sourced()) out.write(memory[row.piece.offset + unsigned(from.address()) / Config::kLanes]);
        from.next();
    }
}

// A process is connected to one or several memories: DRAM through m_axi, or an on-chip bank. A row names one
// by its number among the arguments; each has a loop of its own.

template <class Config, class Word, class Nest>
void read_from(int, const view_row<Nest>& row, stream<Word>& out, const Word* last) {
#pragma HLS INLINE
    read_view<Config>(last, row, out);
}

template <class Config, class Word, class Nest, class... Rest>
void read_from(int memory, const view_row<Nest>& row, stream<Word>& out, const Word* first, Rest... rest) {
#pragma HLS INLINE
    if (memory == 0) {
        read_view<Config>(first, row, out);
    } else {
        read_from<Config>(memory - 1, row, out, rest...);
    }
}

template <class Word>
void read_from(int, const transfer_row& row, stream<Word>& out, const Word* last) {
#pragma HLS INLINE
    read_words(last, row, out);
}

template <class Word, class... Rest>
void read_from(int memory, const transfer_row& row, stream<Word>& out, const Word* first, Rest... rest) {
#pragma HLS INLINE
    if (memory == 0) {
        read_words(first, row, out);
    } else {
        read_from(memory - 1, row, out, rest...);
    }
}

template <class Word>
void write_to(int, const transfer_row& row, stream<Word>& in, Word* last) {
#pragma HLS INLINE
    write_words(in, row, last);
}

template <class Word, class... Rest>
void write_to(int memory, const transfer_row& row, stream<Word>& in, Word* first, Rest... rest) {
#pragma HLS INLINE
    if (memory == 0) {
        write_words(in, row, first);
    } else {
        write_to(memory - 1, row, in, rest...);
    }
}

/// Feeds a phase from one of its memories, in order.
template <class Config, class Word, class... Memories>
void fetch(int phase, unsigned sample, stream<Word>& out, Memories... memories) {
    INTARSIA_PROCESS;
    transfer_row row = Config::row(phase);
    row.offset += int(sample) * row.step;
    read_from(row.memory, row, out, memories...);
}

/// Feeds a phase from one of its memories, in order or as a view.
template <class Config, class Word, class... Memories>
void fetch_view(int phase, unsigned sample, stream<Word>& out, Memories... memories) {
    INTARSIA_PROCESS;
    auto row = Config::row(phase);
    row.piece.offset += int(sample) * row.piece.step;
    read_from<Config>(row.piece.memory, row, out, memories...);
}

/// Stores the result of a phase in one of its memories, and says so when it is done.
template <class Config, class Word, class... Memories>
void collect(int phase, unsigned sample, stream<Word>& in, stream<bool>& finished, Memories... memories) {
    INTARSIA_PROCESS;
    transfer_row row = Config::row(phase);
    row.offset += int(sample) * row.step;
    write_to(row.memory, row, in, memories...);
    finished.write(true);
}

}  // namespace intarsia
