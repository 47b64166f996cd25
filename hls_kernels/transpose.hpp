// transpose: exchanges channels with pixels, a word per cycle. Its feed sends strips: the words of `depth`
// pixels of the source that hold the same `width` channels; each strip becomes `width` pixels of the result,
// of `depth` channels.
//
// Element j of word k lies in bank (j + k) % kLanes of the store, so that a word's elements as well as those
// that make a word of the result are in banks of their own. While a strip comes, the one before leaves.
//
// Config: kLanes (a power of two), kEntries (of one strip in a bank), kClamps (results have bounds), input_t,
// row(phase); step(i) for nest.hpp.
// Cycles: iterations = strips * slot + words of a strip's result, II = 1.
#pragma once

#include "nest.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

template <class Nest>
struct transpose_row {
    int iterations;
    int strips;
    int depth;  // words of a strip
    int width;  // elements that it takes of each, a power of two
    int slot;   // iterations from the start of a strip to that of the next
    int low;    // bounds of the results
    int high;
    Nest from;
};

template <class Config, class Nest>
void transpose_strips(const transpose_row<Nest>& row,
                      stream<vec<typename Config::input_t, Config::kLanes>>& in,
                      stream<vec<typename Config::input_t, Config::kLanes>>& out) {
    using input_t = typename Config::input_t;
    constexpr int kLanes = Config::kLanes;
    using word_t = vec<input_t, kLanes>;
    input_t store[2 * Config::kEntries][kLanes];
#pragma HLS ARRAY_PARTITION variable = store dim = 2 type = complete
// A slot is longer than strip and result by more than the pipeline is deep, so no element is read too early.
#pragma HLS DEPENDENCE variable = store type = inter dependent = false
    nest<Config, Nest> from(row.from);
    int strip = 0;
    int at = 0;       // iteration of the slot
    int filled = 0;   // entry of the strip that comes
    int pixel = 0;    // of the result that leaves
    int channel = 0;  // of its next word
    int entry = 0;    // of that word, less the pixel
    int half = 0;     // of the store, for the strip that comes
Transpose:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (strip < row.strips && at < row.depth) {
            const word_t word = in.read();
            const int lane = from.address() & (kLanes - 1);
            for (int b = 0; b < kLanes; ++b) {
#pragma HLS UNROLL
                const int j = (b - at) & (kLanes - 1);
                if (j < row.width) store[half + filled + j][b] = word[(lane + j) & (kLanes - 1)];
            }
            if ((at & (kLanes - 1)) == kLanes - 1) filled += row.width;
            from.next();
        }
        if (strip > 0 && pixel < row.width) {
            word_t bank;
            word_t result;
#pragma HLS ARRAY_PARTITION variable = bank.data type = complete
#pragma HLS ARRAY_PARTITION variable = result.data type = complete
            for (int b = 0; b < kLanes; ++b) {
#pragma HLS UNROLL
                bank[b] = store[Config::kEntries - half + entry + pixel][b];
            }
            for (int v = 0; v < kLanes; ++v) {
#pragma HLS UNROLL
                int value = bank[(v + pixel) & (kLanes - 1)];
                if (Config::kClamps) value = value < row.low ? row.low : value > row.high ? row.high : value;
                result[v] = input_t(channel + v < row.depth ? value : 0);
            }
            out.write(result);
            channel += kLanes;
            entry += row.width;
            if (channel >= row.depth) {
                channel = 0;
                entry = 0;
                ++pixel;
            }
        }
        if (++at == row.slot) {
            at = 0;
            ++strip;
            filled = 0;
            pixel = 0;
            half = Config::kEntries - half;
        }
    }
}

template <class Config>
void transpose(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
               stream<vec<typename Config::input_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    transpose_strips<Config>(Config::row(phase), in, out);
}

}  // namespace intarsia
