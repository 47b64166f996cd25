// stream<T>: a FIFO between two processes.
//
// Synthesis uses hls::stream. C-simulation runs the processes of a phase one after the other, so its stream
// is unbounded; a read from an empty stream is a fault of the program (some process made too few words),
// which is recorded by name and reported by the caller instead of hanging.
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
#include <cstdio>
#include <vector>

#include "timing.hpp"

namespace intarsia {

/// The first fault of the simulation, as text; empty if there was none.
inline char* simulation_fault() {
    static char text[256] = "";
    return text;
}

template <class T>
class stream {
   public:
    explicit stream(const char* name) : name_(name) {}
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    ~stream() {
        if (head_ != words_.size()) fault("words were left unread in");
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

   private:
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
};

}  // namespace intarsia

#endif
