// window: from a stream of pixels to the stream of patches that an engine or a pool unit consumes.
//
// Three ways, one per kind of layer; Config::kWays says which occur, so that only they are built:
//   straight  a patch is the next words of the stream: 1x1 kernels, matrix rows, fully-connected layers
//   rows      the last rows of the image are kept in a line buffer; patches go out word by word, in the order
//             (channel word, kernel row, kernel column)
//   packed    images with few channels: all positions of the window are in registers, and the patch goes out
//             as densely packed words of kLanes elements, in the order (kernel row, kernel column, channel)
#pragma once

#include <type_traits>

#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

enum window_way { kStraight = 1, kRows = 2, kPacked = 4 };

struct window_row {
    int way;
    int iterations;  // of the loop of that way; counted in advance (generator/machine/units/window.py)
    int height;      // input image, in pixels
    int width;
    int groups;  // words per pixel
    int kernel_height;
    int kernel_width;
    int stride_y;
    int stride_x;
    int dilation_y;
    int dilation_x;
    int pad_top;
    int pad_left;
    int out_height;
    int out_width;
    int first_slot;  // rows: line-buffer slot of row -pad_top
    int lead;        // rows: words that may be stored beyond those of the patch being sent; -1: no limit
    int right;       // packed: first column right of the pixels it walks over
    int padding;     // raw value of padded elements
};

/// A position in an image that is streamed in the order (row, column, channel word).
struct raster {
    int y;
    int x;
    int group;

    bool before(const raster& other) const {
        return y < other.y || (y == other.y && (x < other.x || (x == other.x && group < other.group)));
    }
};

template <class Word>
void straight_window(const window_row& row, stream<Word>& in, stream<Word>& patches) {
Straight:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        patches.write(in.read());
    }
}

/// Each iteration stores at most one word and sends at most one word. A word is sent as soon as it was stored
/// in an earlier iteration. It is stored as soon as its slot is free, but not more than `lead` words ahead of
/// the patch that is being sent: reads block, so a window that asks a slow producer for words it does not
/// need yet would hold back the words that are ready.
template <class Config, class Word>
void rows_window(const window_row& row, stream<Word>& in, stream<Word>& patches) {
    Word lines[Config::kLines][Config::kLineWords];
#pragma HLS AGGREGATE variable = lines compact = bit
    raster arrived = {0, 0, 0};  // next word to store
    int arrived_slot = 0;
    int arrived_column = 0;                          // x * groups + group
    raster next = {-row.pad_top, -row.pad_left, 0};  // next word to send
    int next_column = -row.pad_left * row.groups;    // x * groups
    int next_slot = row.first_slot;
    int base_y = -row.pad_top;  // upper left corner of the window
    int base_x = -row.pad_left;
    int base_column = next_column;
    int base_slot = row.first_slot;
    int kernel_y = 0;
    int kernel_x = 0;
    int out_y = 0;
    int out_x = 0;
    const int step_column = row.dilation_x * row.groups;
    const int stride_column = row.stride_x * row.groups;
    const int reach_y = (row.kernel_height - 1) * row.dilation_y;
    const int reach_column = ((row.kernel_width - 1) * row.dilation_x + 1) * row.groups;
Rows:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const bool sending = out_y < row.out_height;
        const bool padded = next.y < 0 || next.y >= row.height || next.x < 0 || next.x >= row.width;
        const bool ready = padded || next.before(arrived);
        const int last_y = base_y + reach_y;  // of the patch
        const int last_column = base_column + reach_column;
        const bool wanted = row.lead < 0 || arrived.y < last_y ||
                            (arrived.y == last_y && arrived_column < last_column + row.lead);
        const bool room =
            arrived.y < row.height && (!sending || (wanted && arrived.y < base_y + Config::kLines));
        if (sending && ready) {
            Word word;
            if (padded) {
                for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
                    word[v] = row.padding;
                }
            } else {
                word = lines[next_slot][next_column + next.group];
            }
            patches.write(word);
        }
        if (room) {
            lines[arrived_slot][arrived_column] = in.read();
            ++arrived_column;
            if (++arrived.group == row.groups) {
                arrived.group = 0;
                if (++arrived.x == row.width) {
                    arrived.x = 0;
                    arrived_column = 0;
                    ++arrived.y;
                    arrived_slot = arrived_slot == Config::kLines - 1 ? 0 : arrived_slot + 1;
                }
            }
        }
        if (sending && ready) {
            const bool end_x = kernel_x == row.kernel_width - 1;
            const bool end_y = end_x && kernel_y == row.kernel_height - 1;
            const bool end_group = end_y && next.group == row.groups - 1;
            const bool end_line = end_group && out_x == row.out_width - 1;
            kernel_x = end_x ? 0 : kernel_x + 1;
            kernel_y = end_y ? 0 : end_x ? kernel_y + 1 : kernel_y;
            next.group = end_group ? 0 : end_y ? next.group + 1 : next.group;
            if (end_line) {
                base_y += row.stride_y;
                base_slot += row.stride_y;
                if (base_slot >= Config::kLines) base_slot -= Config::kLines;
                base_x = -row.pad_left;
                base_column = -row.pad_left * row.groups;
                out_x = 0;
                ++out_y;
            } else if (end_group) {
                base_x += row.stride_x;
                base_column += stride_column;
                ++out_x;
            }
            if (end_y) {
                next.y = base_y;
                next_slot = base_slot;
            } else if (end_x) {
                next.y += row.dilation_y;
                next_slot += row.dilation_y;
                if (next_slot >= Config::kLines) next_slot -= Config::kLines;
            }
            next.x = end_x ? base_x : next.x + row.dilation_x;
            next_column = end_x ? base_column : next_column + step_column;
        }
    }
}

/// Walks over the padded image, one pixel into the registers per step; at each output position the step also
/// sends the patch, one word per iteration.
template <class Config, class Word>
void packed_window(const window_row& row, stream<Word>& in, stream<Word>& patches) {
    using input_t = typename Config::input_t;
    constexpr int kHeight = Config::kPackedHeight;
    constexpr int kWidth = Config::kPackedWidth;
    constexpr int kChannels = Config::kPackedChannels;
    constexpr int kElements = kHeight * kWidth * kChannels;
    constexpr int kWords = (kElements + Config::kLanes - 1) / Config::kLanes;
    using column_t = vec<input_t, kHeight * kChannels>;
    column_t lines[Config::kPackedColumns];                    // the last kHeight rows, column by column
    input_t window[kWords * Config::kLanes + kChannels] = {};  // in the order of the patch, then zeros
    input_t patch[kWords * Config::kLanes];
#pragma HLS AGGREGATE variable = lines compact = bit
#pragma HLS ARRAY_PARTITION variable = window type = complete
#pragma HLS ARRAY_PARTITION variable = patch type = complete
#pragma HLS DEPENDENCE variable = lines type = inter dependent = false
    int y = -row.pad_top;
    int x = -row.pad_left;
    int wait_y = 0;  // rows and columns until the next output position
    int wait_x = 0;
    int column = 0;  // x + pad_left
    int part = 0;    // word of the patch
    const int first_y = kHeight - 1 - row.pad_top;
    const int first_x = kWidth - 1 - row.pad_left;
    int out_y = 0;
    int out_x = 0;
Packed:
    for (int i = 0; i < row.iterations; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        if (part == 0) {
            column_t pixels = lines[column];
#pragma HLS ARRAY_PARTITION variable = pixels.data type = complete
            for (int e = 0; e < (kHeight - 1) * kChannels; ++e) {
#pragma HLS UNROLL
                pixels[e] = pixels[e + kChannels];
            }
            Word word;
            const bool inside = y >= 0 && y < row.height && x >= 0 && x < row.width;
            if (inside) word = in.read();
            for (int c = 0; c < kChannels; ++c) {
#pragma HLS UNROLL
                pixels[(kHeight - 1) * kChannels + c] = inside ? word[c] : input_t(row.padding);
            }
            lines[column] = pixels;
            // A step to the right moves all rows at once: the last column, which the next row would leave its
            // first in, is that of the new pixels.
            for (int e = 0; e < kWords * Config::kLanes; ++e) {
#pragma HLS UNROLL
                window[e] = window[e + kChannels];
            }
            for (int k = 0; k < kHeight; ++k) {
#pragma HLS UNROLL
                for (int c = 0; c < kChannels; ++c) {
#pragma HLS UNROLL
                    window[((k + 1) * kWidth - 1) * kChannels + c] = pixels[k * kChannels + c];
                }
            }
            for (int e = 0; e < kWords * Config::kLanes; ++e) {
#pragma HLS UNROLL
                patch[e] = window[e];
            }
        } else {
            for (int e = 0; e < (kWords - 1) * Config::kLanes; ++e) {
#pragma HLS UNROLL
                patch[e] = patch[e + Config::kLanes];
            }
        }
        const bool output = y >= first_y && wait_y == 0 && out_y < row.out_height && x >= first_x &&
                            wait_x == 0 && out_x < row.out_width;
        if (output) {
            Word word;
            for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
                word[v] = patch[v];
            }
            patches.write(word);
        }
        const bool last = !output || part == kWords - 1;
        part = last ? 0 : part + 1;
        if (last) {
            const bool end_line = x == row.right - 1;
            if (end_line) {
                if (y >= first_y) wait_y = wait_y == 0 ? row.stride_y - 1 : wait_y - 1;
                if (out_x != 0 || output) ++out_y;
                ++y;
            }
            wait_x = end_line || x < first_x ? 0 : wait_x == 0 ? row.stride_x - 1 : wait_x - 1;
            out_x = end_line ? 0 : output ? out_x + 1 : out_x;
            x = end_line ? -row.pad_left : x + 1;
            column = end_line ? 0 : column + 1;
        }
    }
}

// Only the ways that Config::kWays names are instantiated.
template <class Config, class Word>
void rows_if(std::true_type, const window_row& row, stream<Word>& in, stream<Word>& patches) {
    if (row.way == kRows) rows_window<Config>(row, in, patches);
}
template <class Config, class Word>
void rows_if(std::false_type, const window_row&, stream<Word>&, stream<Word>&) {}
template <class Config, class Word>
void packed_if(std::true_type, const window_row& row, stream<Word>& in, stream<Word>& patches) {
    if (row.way == kPacked) packed_window<Config>(row, in, patches);
}
template <class Config, class Word>
void packed_if(std::false_type, const window_row&, stream<Word>&, stream<Word>&) {}

template <class Config>
void window(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
            stream<vec<typename Config::input_t, Config::kLanes>>& patches) {
    INTARSIA_PROCESS;
    const window_row row = Config::row(phase);
    if ((Config::kWays & kStraight) && row.way == kStraight) straight_window(row, in, patches);
    rows_if<Config>(std::integral_constant<bool, (Config::kWays & kRows) != 0>(), row, in, patches);
    packed_if<Config>(std::integral_constant<bool, (Config::kWays & kPacked) != 0>(), row, in, patches);
}

}  // namespace intarsia
