// table: a function of single elements, looked up.
//
// The tables of all tasks of the unit lie one after the other in one memory. An entry is addressed by the raw
// input modulo the table's size, so negative inputs are in its upper half. Every lane looks up an element of
// its own per cycle; a RAM has two ports, hence a copy of the memory for every two lanes.
//
// Config: kLanes, kEntries, kCopies = ceil(kLanes / 2), input_t, output_t, row(phase).
// Cycles: words, II = 1.
#pragma once

#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct table_row {
    int words;
    int first;  // first entry of the task's table
    int mask;   // entries of the table, a power of two, minus 1
};

template <class Config>
void table(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
           const typename Config::output_t entries[Config::kEntries][Config::kCopies],
           stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    static_assert(2 * Config::kCopies >= Config::kLanes, "every copy serves two lanes");
    const table_row row = Config::row(phase);
Table:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const vec<typename Config::input_t, Config::kLanes> x = in.read();
        vec<typename Config::output_t, Config::kLanes> word;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            word[v] = entries[row.first + (int(x[v]) & row.mask)][v / 2];
        }
        out.write(word);
    }
}

}  // namespace intarsia
