// Timing of a C-simulation: cycles, stalls and deadlocks of the emitted code, without vendor tools.
//
// Three marks stand in the sources, all empty for synthesis and for the plain C-simulation: INTARSIA_REGION
// at the top of the dataflow region, INTARSIA_PROCESS at the top of each kernel, and INTARSIA_ITERATION in
// each pipelined loop. With INTARSIA_TIMED the C-simulation records, for every process, in which iteration it
// read or wrote which stream. Which iteration that is does not depend on timing (blocking reads only: a Kahn
// network), so the record is made once, with unbounded streams, and then timed for any FIFO depths by
// max-plus rules:
//
//   start(i)  >= start(i - 1) + II                    II = 1 unless a vendor report says otherwise
//   start(i)  >= write time of each word it reads + 1
//   start(i) + depth >= read time of the word that frees the slot it writes + 1   (a full FIFO stalls the
//   pipeline) a word written in iteration i has the write time start(i) + depth
//
// Where a launch takes several samples, the region is the body of a loop over them, and a process begins with
// the next one when it has ended with the last: kRestart cycles after its last iteration has left the
// pipeline.
//
// The last rule holds for pipelines that flush (style = flp, as all kernels ask for): a word that is on its
// way comes out even if the next iteration waits for its inputs.
//
// The times follow from the record alone, hence do not depend on the machine that simulates.
#pragma once

#ifndef INTARSIA_TIMED

#define INTARSIA_REGION(phase, sample, samples)
#define INTARSIA_PROCESS
#define INTARSIA_ITERATION

#else

#include <algorithm>
#include <cstdint>
#include <vector>

#define INTARSIA_REGION(phase, sample, samples) \
    const intarsia::record::region intarsia_region(phase, sample, samples)
#define INTARSIA_PROCESS intarsia::record::begin_process()
#define INTARSIA_ITERATION intarsia::record::next_iteration()

namespace intarsia {

/// One access of a process to a stream.
struct access {
    int64_t iteration;
    int stream;
    bool write;

    bool operator==(const access& other) const {
        return iteration == other.iteration && stream == other.stream && write == other.write;
    }
};

struct process_record {
    std::vector<access> accesses;
    int64_t iterations = 0;
    std::vector<int64_t> restarts;  // iterations that were done when each sample but the first began

    bool operator==(const process_record& other) const {
        return iterations == other.iterations && restarts == other.restarts && accesses == other.accesses;
    }
};

struct phase_record {
    std::vector<process_record> processes;
    int streams = 0;

    bool operator==(const phase_record& other) const {
        return streams == other.streams && processes == other.processes;
    }
};

/// The record of one launch. Phases that do the same, as the layers of a deep model do, share theirs.
struct record {
    static std::vector<phase_record>& distinct() {
        static std::vector<phase_record> all;
        return all;
    }
    /// Which record each phase has.
    static std::vector<int>& phases() {
        static std::vector<int> all;
        return all;
    }
    static const phase_record& of(int phase) { return distinct()[phases()[phase]]; }
    static bool& inside() {
        static bool value = false;
        return value;
    }
    /// Processes that have begun, and streams that were made, since the region was entered.
    static std::size_t& process() {
        static std::size_t number = 0;
        return number;
    }
    static int& stream() {
        static int number = 0;
        return number;
    }
    /// Lasts as long as one sample's way through a phase; loops between phases do not count.
    struct region {
        const bool last;
        region(int phase, unsigned sample, unsigned samples) : last(sample == samples - 1) {
            if (phase == 0 && sample == 0) {
                distinct().clear();
                phases().clear();
            }
            if (sample == 0) distinct().emplace_back();
            process() = 0;
            stream() = 0;
            inside() = true;
        }
        ~region() {
            inside() = false;
            std::vector<phase_record>& all = distinct();
            all.back().streams = stream();
            if (!last) return;
            const auto known = std::find(all.begin(), all.end() - 1, all.back());
            phases().push_back(int(known - all.begin()));
            if (known != all.end() - 1) all.pop_back();
        }
    };
    static process_record& current() { return distinct().back().processes[process() - 1]; }
    static void begin_process() {
        std::vector<process_record>& all = distinct().back().processes;
        if (++process() > all.size())
            all.emplace_back();
        else
            current().restarts.push_back(current().iterations);
    }
    static void next_iteration() {
        if (inside()) ++current().iterations;
    }
    /// The number of a new stream of the phase; -1 outside of the region, where streams are not timed.
    static int new_stream() { return inside() ? stream()++ : -1; }
    static void touch(int stream, bool write) {
        if (stream < 0) return;
        process_record& process = current();
        process.accesses.push_back({process.iterations, stream, write});
    }
};

/// What timing finds for one stream.
struct stream_times {
    std::vector<int64_t> written;
    std::vector<int64_t> read;
    int64_t reader_waits = 0;  // cycles in which the reader waited for a word
    int64_t writer_waits = 0;  // cycles in which the writer waited for room

    int64_t high_water() const {
        int64_t most = 0;
        std::size_t gone = 0;
        for (std::size_t i = 0; i < written.size(); ++i) {
            while (gone < read.size() && read[gone] < written[i])
                ++gone;
            most = std::max<int64_t>(most, int64_t(i + 1 - gone));
        }
        return most;
    }
};

/// Times one phase for given FIFO depths, pipeline depths and initiation intervals.
class phase_timing {
   public:
    phase_timing(const phase_record& phase, const int* fifo_depths, const int* pipeline_depths,
                 const int* intervals)
        : phase_(phase),
          fifo_depths_(fifo_depths),
          pipeline_depths_(pipeline_depths),
          intervals_(intervals),
          streams(phase.streams),
          position_(phase.processes.size(), 0),
          at_(phase.processes.size()),
          blocked(phase.processes.size(), -1),
          started(phase.processes.size(), 0) {
        for (std::size_t p = 0; p < at_.size(); ++p)
            at_[p].start = -intervals[p];  // iterations count from 1, and the first may start in cycle 0
        for (bool progress = true; progress;) {
            progress = false;
            for (std::size_t p = 0; p < phase.processes.size(); ++p)
                progress = advance(p) || progress;
        }
        for (std::size_t p = 0; p < at_.size(); ++p) {
            at_[p] = reach(p, phase.processes[p].iterations);
            sample_ended(at_[p].sample, end(p));
        }
    }

    bool deadlocked() const {
        for (int stream : blocked) {
            if (stream >= 0) return true;
        }
        return false;
    }

    /// When a process ends: its last iteration has left the pipeline.
    int64_t end(std::size_t p) const { return at_[p].start + pipeline_depths_[p]; }

   private:
    static constexpr int64_t kUnknown = -1;
    static constexpr int64_t kRestart = 2;

    /// Where a process stands: an iteration, when it starts, and which sample it is for.
    struct standing {
        int64_t iteration = 0;
        int64_t start = 0;
        std::size_t sample = 0;
    };

    const phase_record& phase_;
    const int* fifo_depths_;
    const int* pipeline_depths_;
    const int* intervals_;

   public:
    std::vector<stream_times> streams;

   private:
    std::vector<std::size_t> position_;  // next access of each process
    std::vector<standing> at_;           // its last iteration that touched a stream

   public:
    std::vector<int> blocked;          // the stream that each process waits for, or -1
    std::vector<int64_t> started;      // when each process first touched a stream
    std::vector<int64_t> sample_ends;  // when the last process has ended with each sample

   private:
    void sample_ended(std::size_t sample, int64_t cycle) {
        if (sample_ends.size() <= sample) sample_ends.resize(sample + 1, 0);
        sample_ends[sample] = std::max(sample_ends[sample], cycle);
    }

    /// A later iteration of a process, if it waits for nothing on the way there.
    standing reach(std::size_t p, int64_t iteration) {
        const std::vector<int64_t>& restarts = phase_.processes[p].restarts;
        standing at = at_[p];
        while (at.sample < restarts.size() && restarts[at.sample] < iteration) {
            const int64_t before = at.sample > 0 ? restarts[at.sample - 1] : 0;
            const int64_t last = restarts[at.sample];
            at.start += (last - at.iteration) * intervals_[p];
            if (last > before) at.start += pipeline_depths_[p];
            sample_ended(at.sample, at.start);
            at.start += kRestart - intervals_[p];
            at.iteration = last;
            ++at.sample;
        }
        at.start += (iteration - at.iteration) * intervals_[p];
        at.iteration = iteration;
        return at;
    }

    /// Runs a process until it is done or must wait; true if it moved.
    bool advance(std::size_t p) {
        const std::vector<access>& accesses = phase_.processes[p].accesses;
        bool moved = false;
        blocked[p] = -1;
        while (position_[p] < accesses.size()) {
            const std::size_t first = position_[p];
            const int64_t iteration = accesses[first].iteration;
            standing next = reach(p, iteration);
            const int64_t free_start = next.start;
            int64_t start = free_start;
            std::size_t end = first;
            for (; end < accesses.size() && accesses[end].iteration == iteration; ++end) {
                const int64_t possible = earliest(p, accesses[end]);
                if (possible == kUnknown) {
                    blocked[p] = accesses[end].stream;
                    return moved;
                }
                start = std::max(start, possible);
            }
            for (std::size_t i = first; i < end; ++i) {
                const int64_t waits = std::max<int64_t>(earliest(p, accesses[i]) - free_start, 0);
                stream_times& s = streams[accesses[i].stream];
                if (accesses[i].write) {
                    s.writer_waits += waits;
                    s.written.push_back(start + pipeline_depths_[p]);
                } else {
                    s.reader_waits += waits;
                    s.read.push_back(start);
                }
            }
            if (first == 0) started[p] = start;
            position_[p] = end;
            next.start = start;
            at_[p] = next;
            moved = true;
        }
        return moved;
    }

    /// The first cycle in which an access can be made as far as its stream is concerned; kUnknown until the
    /// other end has made the access that it depends on.
    int64_t earliest(std::size_t p, const access& a) const {
        const stream_times& s = streams[a.stream];
        if (!a.write) return s.read.size() < s.written.size() ? s.written[s.read.size()] + 1 : kUnknown;
        const std::size_t index = s.written.size();
        const std::size_t depth = std::size_t(fifo_depths_[a.stream]);
        if (index < depth) return 0;
        if (index - depth >= s.read.size()) return kUnknown;
        return std::max<int64_t>(s.read[index - depth] + 1 - pipeline_depths_[p], 0);
    }
};

}  // namespace intarsia

// Called from Python (generator/simulation/timed.py); all arrays are over the streams or processes of the
// region.
extern "C" {

int intarsia_phases() {
    return int(intarsia::record::phases().size());
}
int intarsia_streams(int phase) {
    return intarsia::record::of(phase).streams;
}
int intarsia_processes(int phase) {
    return int(intarsia::record::of(phase).processes.size());
}

/// Equal for phases that are timed alike.
int intarsia_record(int phase) {
    return intarsia::record::phases()[phase];
}

/// Cycles of a phase, or -1 if it deadlocks. Fills, per stream, the high-water mark and the waits of both
/// ends; per process, the stream it is blocked on (-1: none), its iterations, and when it started and ended;
/// and per sample the cycles until it has passed.
int64_t intarsia_time_phase(int phase, const int* fifo_depths, const int* pipeline_depths,
                            const int* intervals, int64_t* high_water, int64_t* reader_waits,
                            int64_t* writer_waits, int* blocked, int64_t* iterations, int64_t* started,
                            int64_t* ended, int64_t* sample_ends) {
    const intarsia::phase_record& record = intarsia::record::of(phase);
    const intarsia::phase_timing timing(record, fifo_depths, pipeline_depths, intervals);
    for (int s = 0; s < record.streams; ++s) {
        high_water[s] = timing.streams[s].high_water();
        reader_waits[s] = timing.streams[s].reader_waits;
        writer_waits[s] = timing.streams[s].writer_waits;
    }
    for (std::size_t p = 0; p < record.processes.size(); ++p) {
        blocked[p] = timing.blocked[p];
        iterations[p] = record.processes[p].iterations;
        started[p] = timing.started[p];
        ended[p] = timing.end(p);
    }
    std::copy(timing.sample_ends.begin(), timing.sample_ends.end(), sample_ends);
    return timing.deadlocked() ? -1 : timing.sample_ends.back();
}
}

#endif
