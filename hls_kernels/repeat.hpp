// repeat: every pixel of an image several times, side by side and row below row (Resize to the nearest).
//
// A row of the result comes while the row of the image does; the rows below it come from a line buffer. Words
// that stand again behind their pixel come from a delay of as many words as a pixel has. Where words hold the
// pixels of a row (kSpreads), a word of the image makes `times` words, in each of which every pixel stands
// `times` times.
//
// Config: kLanes, kLineWords (words of the longest row that is kept), kDelay (words of the largest pixel),
// kSpreads, input_t, output_t, row(phase). A row of the result that is kept has at least 8 words, more than
// the pipeline is deep between reading and writing the line buffer. Cycles: words of the result, II = 1.
#pragma once

#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct repeat_row {
    int iterations;
    int rows;    // of the result for each row of the image
    int pixels;  // of a row of the image; words of it where these hold pixels
    int words;   // of a pixel
    int times;   // that each of them stands in a row of the result
    int last;    // the same for the last of a row
    int shift;   // of lanes, where a word holds pixels: log2(times)
};

template <class Config>
void repeat(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
            stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    using word_t = vec<typename Config::input_t, Config::kLanes>;
    const repeat_row row = Config::row(phase);
    word_t line[Config::kLineWords];
    word_t delay[Config::kDelay];
#pragma HLS AGGREGATE variable = line compact = bit
#pragma HLS ARRAY_PARTITION variable = delay type = complete
#pragma HLS DEPENDENCE variable = line type = inter dependent = false
    int below = 0;  // row of the result, of those of a row of the image
    int pixel = 0;
    int time = 0;
    int word = 0;
    int place = 0;  // in the line buffer
Repeat:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        word_t next = delay[row.words - 1];
        if (time == 0) {
            if (below == 0) {
                next = in.read();
                line[place] = next;
            } else {
                next = line[place];
            }
        }
        for (int d = Config::kDelay - 1; d > 0; --d) {
#pragma HLS UNROLL
            delay[d] = delay[d - 1];
        }
        delay[0] = next;
        vec<typename Config::output_t, Config::kLanes> result;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            result[v] = Config::kSpreads ? next[(time * Config::kLanes + v) >> row.shift] : next[v];
        }
        out.write(result);
        if (time == 0) ++place;
        const bool end_of_word = word == row.words - 1;
        const bool end_of_row = pixel == row.pixels - 1;
        const bool end_of_pixel = end_of_word && time == (end_of_row ? row.last : row.times) - 1;
        word = end_of_word ? 0 : word + 1;
        if (end_of_word) time = end_of_pixel ? 0 : time + 1;
        if (end_of_pixel) {
            pixel = end_of_row ? 0 : pixel + 1;
            if (end_of_row) {
                place = 0;
                below = below == row.rows - 1 ? 0 : below + 1;
            }
        }
    }
}

}  // namespace intarsia
