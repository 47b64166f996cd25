// stream<T>: a FIFO between two processes.
//
// Synthesis uses hls::stream. C-simulation runs the processes of a phase one after the other, so its stream
// is unbounded; a read from an empty stream is a fault of the program (some process made too few words),
// which is recorded by name and reported by the caller instead of hanging. Nor is there a clock: a read that
// does not block finds its word at once, unless the caller says how many cycles it takes to come.
#pragma once

#ifdef __SYNTHESIS__

#include <hls_stream.h>

#include "timing.hpp"

namespace intarsia {
template <class T>
using stream = hls::stream<T>;
}  // namespace intarsia

#else

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include "timing.hpp"

namespace intarsia {

/// The first fault of the simulation, as text; empty if there was none.
inline char* simulation_fault() {
    static char text[256] = "";
    return text;
}

/// In which cycle after the one before each word comes to reads that do not block; none: at once.
inline std::vector<uint32_t>& simulated_clock() {
    static std::vector<uint32_t> cycles;
    return cycles;
}

template <class T>
class stream {
   public:
    // A phase has dozens of streams: their construction as calls compiles in less time.
    [[gnu::noinline]] explicit stream(const char* name) : name_(name) {
        if (spare().empty()) return;
        words_.swap(spare().back());
        spare().pop_back();
    }
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    [[gnu::noinline]] ~stream() {
        if (head_ != words_.size()) fault("words were left unread in");
        words_.clear();
        spare().push_back(std::move(words_));
    }

    void write(const T& word) {
#ifdef INTARSIA_TIMED
        record::touch(number_, true);
#endif
        words_.push_back(word);
    }

    T read() {
        if (head_ == words_.size()) {
            fault("read from empty");
            return T();
        }
#ifdef INTARSIA_TIMED
        record::touch(number_, false);
#endif
        T word = words_[head_++];
        if (head_ == words_.size()) {
            words_.clear();
            head_ = 0;
        }
        return word;
    }

    /// Reads a word if there is one; call it once in a cycle. One that will never come is a fault, and read
    /// as T(), so that no simulation hangs.
    bool read_nb(T& word) {
        const std::vector<uint32_t>& clock = simulated_clock();
        if (arrived_ < clock.size() && ++waited_ < clock[arrived_]) return false;
        ++arrived_;
        waited_ = 0;
        word = read();
        return true;
    }

   private:
    /// Storage of streams that are gone, for those of the next phase: a phase makes all of its own anew.
    static std::vector<std::vector<T>>& spare() {
        static std::vector<std::vector<T>> storage;
        return storage;
    }

    void fault(const char* what) const {
        if (simulation_fault()[0] == '\0')
            std::snprintf(simulation_fault(), 256, "%s stream '%s'", what, name_);
    }

    const char* name_;
#ifdef INTARSIA_TIMED
    const int number_ = record::new_stream();
#endif
    std::vector<T> words_;
    std::size_t head_ = 0;
    std::size_t arrived_ = 0;  // words that reads that do not block have found
    uint32_t waited_ = 0;      // cycles since the last of them
};

}  // namespace intarsia

#endif
