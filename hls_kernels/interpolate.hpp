// interpolate: a function of single elements, by straight lines (generator/arithmetic/interpolation.py).
//
// The upper bits of a raw input choose a section, whose entry tells its first segment and the segments'
// width; the segment has a base and a slope, both with kFraction fractional bits and the rounding included:
//     result = (base + slope * offset) >> kFraction
// The generator has checked every raw input: results are within the format, and nothing ever wraps. The
// memories of all tasks lie one after the other, with a copy for every two lanes, as in table.hpp.
//
// Config: kLanes, kSections, kSegments, kCopies = ceil(kLanes / 2), kFraction, kShiftBits, section_t, base_t,
// slope_t, input_t, output_t, row(phase).
// Cycles: words, II = 1.
#pragma once

#include "integer.hpp"
#include "stream.hpp"
#include "vec.hpp"

namespace intarsia {

struct interpolate_row {
    int words;
    int mask;     // of the bits of a raw input
    int shift;    // log2 of the inputs of a section
    int section;  // first section of the task
    int segment;  // first segment of the task
};

template <class Config>
void interpolate(int phase, stream<vec<typename Config::input_t, Config::kLanes>>& in,
                 const typename Config::section_t sections[Config::kSections][Config::kCopies],
                 const typename Config::base_t bases[Config::kSegments][Config::kCopies],
                 const typename Config::slope_t slopes[Config::kSegments][Config::kCopies],
                 stream<vec<typename Config::output_t, Config::kLanes>>& out) {
    INTARSIA_PROCESS;
    static_assert(2 * Config::kCopies >= Config::kLanes, "every copy serves two lanes");
    const interpolate_row row = Config::row(phase);
Interpolate:
    for (int i = 0; i < row.words; ++i) {
#pragma HLS PIPELINE II = 1 style = flp
        INTARSIA_ITERATION;
        const vec<typename Config::input_t, Config::kLanes> x = in.read();
        vec<typename Config::output_t, Config::kLanes> word;
        for (int v = 0; v < Config::kLanes; ++v) {
#pragma HLS UNROLL
            const int raw = int(x[v]) & row.mask;
            const int section = int(sections[row.section + (raw >> row.shift)][v / 2]);
            const int width = section & ((1 << Config::kShiftBits) - 1);
            const int within = raw & ((1 << row.shift) - 1);
            const int segment = row.segment + (section >> Config::kShiftBits) + (within >> width);
            const integer<10> offset = integer<10>(within & ((1 << width) - 1));  // of at most 512 inputs
            const integer<34> product = integer<34>(slopes[segment][v / 2]) * offset;
            word[v] = typename Config::output_t((product + bases[segment][v / 2]) >> Config::kFraction);
        }
        out.write(word);
    }
}

}  // namespace intarsia
