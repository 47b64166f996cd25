// move: values in another order. Its feed sends the word of every piece that has a source (memory.hpp); this
// process takes the piece out of it and puts it at its place in the result.
//
// A piece is 1 to kLanes elements that lie side by side in one word of the result and, each once, in one word
// of the source. Pieces without a source hold the fill; what a pixel's last word has beyond its channels is
// 0. Config: kLanes (a power of two), kSpread (most of all rows), kClamps (results have bounds), input_t,
// row(phase); step(i) for nest.hpp.
// Cycles: iterations = pixels * pieces, II = 1.
#pragma once

#include "nest.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

template <class Nest>
struct move_row {
    int iterations;
    int pieces;  // of a pixel
    int piece;   // elements of a piece
    int last;    // elements of the last piece of a pixel
    int fill;    // what pieces without a source hold
    int spread;  // elements of the source stand 2**spread times in the result
    int low;     // bounds of the results
    int high;
    Nest from;
};

template <class Config, class Nest>
void move_pieces(const move_row<Nest>& row, stream<vec<typename Config::input_t, Config::kLanes>>& in,
                 stream<vec<typename Config::input_t, Config::kLanes>>& out) {
    using word_t = vec<typename Config::input_t, Config::kLanes>;
    nest<Config, Nest> from(row.from);
    word_t result = {};
#pragma HLS ARRAY_PARTITION variable = result.data type = complete
    int piece = 0;  // of the pixel
    int slot = 0;   // where it goes in the word
Move:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const bool sourced = from.sourced();
        const int lane = from.address() & (Config::kLanes - 1);
        word_t word = {};
        if (sourced) word = in.read();
        const bool end = piece == row.pieces - 1;
        const int behind = slot + (end ? row.last : row.piece);
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            if (v >= slot) {
                const int source = ((v - slot) >> (Config::kSpread ? row.spread : 0)) + lane;
                int value = sourced ? int(word[source & (Config::kLanes - 1)]) : row.fill;
                if (Config::kClamps) value = value < row.low ? row.low : value > row.high ? row.high : value;
                result[v] = typename Config::input_t(v < behind ? value : 0);
            }
        }
        slot += row.piece;
        if (end || slot == Config::kLanes) {
            out.write(result);
            slot = 0;
        }
        piece = end ? 0 : piece + 1;
        from.next();
    }
}

template <class Config>
void move(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
          stream<vec<typename Config::input_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    move_pieces<Config>(Config::row(phase), in, out);
}

}  // namespace intarsia
