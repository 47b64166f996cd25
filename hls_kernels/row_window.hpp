// row_window: windows over an image of one channel, a word of neighbouring pixels at a time.
//
// A row of the image lies in words of kLanes pixels. A patch is what kLanes neighbouring windows see: kHeight
// rows of kSpan = (kLanes - 1) * kStride + kWidth pixels. The last kHeight - 1 rows are kept in a line
// buffer, and of each row the words around the patch in registers, which move on by one word per iteration.
//
// Config: kLanes, kHeight, kWidth, kStride (of the windows, the same both ways), kPadLeft, kColumns (words
// of the longest row), input_t, row(phase). kPadLeft and what windows reach beyond a word are at most kLanes.
// Cycles: iterations = rows * columns + 1, II = 1.
#pragma once

#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct row_window_row {
    int iterations;
    int height;      // of the image
    int words;       // of a row of the image
    int last;        // pixels of a row's last word
    int columns;     // iterations per row: a multiple of the stride
    int pad_top;     // rows above the image
    int out_height;  // of the result
    int out_words;   // of a row of the result
    int padding;     // raw value of padded pixels
};

template <class Config>
struct row_patch {
    static constexpr int kSpan = (Config::kLanes - 1) * Config::kStride + Config::kWidth;
    using type = vec<typename Config::input_t, Config::kHeight * kSpan>;
};

template <class Config>
void row_window(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
                stream<typename row_patch<Config>::type>& patches) {
    INTARSIA_PROCESS;
    using input_t = typename Config::input_t;
    constexpr int kLanes = Config::kLanes;
    constexpr int kHeight = Config::kHeight;
    constexpr int kStride = Config::kStride;
    constexpr int kSpan = row_patch<Config>::kSpan;
    constexpr int kKept = kHeight > 1 ? kHeight - 1 : 1;
    constexpr int kPixels = (kStride + 2) * kLanes;  // a word, those of a patch without reach, and a word
    const row_window_row row = Config::row(phase);
    vec<input_t, kKept * kLanes> lines[Config::kColumns];
    input_t pixels[kHeight][kPixels];
#pragma HLS AGGREGATE variable = lines compact = bit
#pragma HLS ARRAY_PARTITION variable = pixels dim = 0 type = complete
#pragma HLS DEPENDENCE variable = lines type = inter dependent = false
    int y = -row.pad_top;
    int column = 0;
    int step = 0;            // of the stride, within a row
    int wait = kHeight - 1;  // rows until the next that completes windows
    bool complete = false;   // the row whose words are in the registers completes windows
    int out_y = 0;
    int out_word = 0;
Rows:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const bool inside = y >= 0 && y < row.height && column < row.words;
        vec<input_t, kLanes> word;
        if (inside) word = in.read();
        const bool cut = column == row.words - 1;
        vec<input_t, kKept * kLanes> above = lines[column];
        vec<input_t, kKept * kLanes> kept;
        for (int v = 0; v < kLanes; ++v) {
#pragma HLS UNROLL
            const input_t pixel = inside && !(cut && v >= row.last) ? word[v] : input_t(row.padding);
            for (int k = 0; k < kHeight; ++k) {
#pragma HLS UNROLL
                for (int w = 0; w < kStride + 1; ++w) {
#pragma HLS UNROLL
                    pixels[k][w * kLanes + v] = pixels[k][(w + 1) * kLanes + v];
                }
                const input_t next = k == kHeight - 1 ? pixel : above[(k % kKept) * kLanes + v];
                pixels[k][(kStride + 1) * kLanes + v] = next;
                if (k > 0) kept[(k - 1) * kLanes + v] = next;
            }
        }
        lines[column] = kept;
        // A word of results is complete when the word behind its last pixels has come: at the end of a row
        // the first of the next row, whose pixels are not seen.
        const bool first = column == 0;
        if (step == 0 && complete && out_word < row.out_words) {
            typename row_patch<Config>::type patch;
            for (int k = 0; k < kHeight; ++k) {
#pragma HLS UNROLL
                for (int e = 0; e < kSpan; ++e) {
#pragma HLS UNROLL
                    const int p = kLanes - Config::kPadLeft + e;
                    const bool beyond =
                        (p < kLanes && out_word == 0) || (p >= (kStride + 1) * kLanes && first);
                    patch[k * kSpan + e] = beyond ? input_t(row.padding) : pixels[k][p];
                }
            }
            patches.write(patch);
        }
        if (first) {
            complete = wait == 0 && out_y < row.out_height;
            if (complete) ++out_y;
            wait = wait == 0 ? kStride - 1 : wait - 1;
            out_word = 0;
        } else if (step == 0) {
            ++out_word;
        }
        step = step == kStride - 1 ? 0 : step + 1;
        if (++column == row.columns) {
            column = 0;
            ++y;
        }
    }
}

}  // namespace intarsia
