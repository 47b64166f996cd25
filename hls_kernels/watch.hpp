// The watch: counts the clock cycles of a launch, beside the processes that do the work.
#pragma once

#include <cstdint>

#include "stream.hpp"

namespace intarsia {

/// Counts until the last of `kPhases` phases has finished with all samples of the launch.
///
/// `phase` shows the host at any time how many have finished: where a launch hangs, the one it hangs in.
/// `cycles` is written at the end. The loop takes one cycle per iteration because it never waits: this is the
/// only read that does not block, and nothing that is computed depends on it.
template <int kPhases>
void watch(stream<bool>& finished, unsigned samples, volatile uint32_t* phase, uint32_t* cycles) {
    uint32_t count = 0;
    uint32_t done = 0;
    unsigned passed = 0;  // samples that the phase has finished with
    *phase = 0;
Watch:
    while (done < kPhases) {
#pragma HLS PIPELINE II = 1
        bool word;
        if (finished.read_nb(word) && ++passed == samples) {
            passed = 0;
            ++done;
            *phase = done;
        }
        ++count;
    }
    *cycles = count;
}

}  // namespace intarsia
