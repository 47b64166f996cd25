// move: values in another order. Its feed sends the word of every piece that has a source (memory.hpp); this
// process takes the piece out of it and puts it at its place in the result.
//
// A piece is 1 to kLanes elements that lie side by side in one word of the source and in one word of the
// result. Pieces without a source hold the zero point; what a pixel's last word has beyond its channels is 0.
// Config: kLanes (a power of two), input_t, row(phase).
// Cycles: iterations = pixels * pieces, II = 1.
#pragma once

#include "nest.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

template <int kDims>
struct move_row {
    int iterations;
    int pieces;  // of a pixel
    int piece;   // elements of a piece
    int last;    // elements of the last piece of a pixel
    int fill;    // what pieces without a source hold: the zero point
    nest_row<kDims> from;
};

template <class Config, int kDims>
void move_pieces(const move_row<kDims>& row, stream<vec<typename Config::input_t, Config::kLanes>>& in,
                 stream<vec<typename Config::input_t, Config::kLanes>>& out) {
    using word_t = vec<typename Config::input_t, Config::kLanes>;
    nest<kDims> from(row.from);
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
                const typename Config::input_t value = sourced
                                                           ? word[(v - slot + lane) & (Config::kLanes - 1)]
                                                           : typename Config::input_t(row.fill);
                result[v] = v < behind ? value : typename Config::input_t(0);
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
