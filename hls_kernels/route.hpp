// Switches between the units: the reconfiguration of the datapath, one row of the program per phase.
#pragma once

#include "stream.hpp"

namespace intarsia {

/// Words to pass in a phase, and the way they take: a bit mask of outputs.
struct switch_row {
    int words;
    int way;
};

/// Words to pass in a phase, and how many come from each input in turn; an input with a run of 0 is idle.
template <int kInputs>
struct merge_row {
    int words;
    int runs[kInputs];
};

/// The input whose turn it is, round after round.
template <int kInputs>
class turns {
   public:
    explicit turns(const merge_row<kInputs>& row) : row_(row), input_(kInputs - 1), left_(0) { advance(); }

    int input() const { return input_; }

    void next() {
        if (--left_ == 0) advance();
    }

   private:
    void advance() {
        int chosen = input_;
        for (int step = kInputs; step > 0; --step) {
#pragma HLS UNROLL
            const int candidate = (input_ + step) % kInputs;
            if (row_.runs[candidate] > 0) chosen = candidate;
        }
        input_ = chosen;
        left_ = row_.runs[chosen];
    }

    const merge_row<kInputs> row_;
    int input_;
    int left_;
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
Word read_one(int, stream<Word>& last) {
#pragma HLS INLINE
    return last.read();
}

template <class Word, class... Rest>
Word read_one(int input, stream<Word>& first, Rest&... rest) {
#pragma HLS INLINE
    if (input == 0) return first.read();
    return read_one(input - 1, rest...);
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

/// Passes on the words of the phase's input, or of several in turn: units that share a task each make some
/// words of every pixel.
template <class Config, class Word, class... Inputs>
void merge(int phase, stream<Word>& out, Inputs&... ins) {
    INTARSIA_PROCESS;
    const merge_row<sizeof...(Inputs)> row = Config::row(phase);
    turns<sizeof...(Inputs)> turn(row);
Merge:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        out.write(read_one(turn.input(), ins...));
        turn.next();
    }
}

}  // namespace intarsia
