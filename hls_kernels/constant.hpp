// constant: a tensor that is the same for every sample, from on-chip memory.
//
// The words of all tasks of the unit lie one after the other in one memory, in the order of streams; tasks
// with the same numbers share theirs. It waits for nothing but room in its FIFO.
//
// Config: kLanes, kEntries, output_t, row(phase). Cycles: words, II = 1.
#pragma once

#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct constant_row {
    int words;
    int first;  // entry of the task's first word
};

template <class Config>
void constant(int phase, const vec<typename Config::output_t, Config::kLanes> entries[Config::kEntries],
              stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    const constant_row row = Config::row(phase);
Constant:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        out.write(entries[row.first + i]);
    }
}

}  // namespace intarsia
