// nest: nested counters that walk over addresses with one addition per step.
//
// Config, for irregular_nest_row only: step(i), entry i of the table of steps.
#pragma once

namespace intarsia {

/// Counters, innermost first. When counter d advances, the address changes by steps[d], which takes back what
/// the counters inside it have added. There is a source where every counter is in [low, high).
template <int kDims>
struct nest_row {
    static constexpr int kCounters = kDims;
    int start;
    int extents[kDims];
    int steps[kDims];
    int lows[kDims];
    int highs[kDims];
};

/// The same, where the steps of some counters differ: step n of counter d is entry tables[d] + n of
/// Config::step; counters whose steps are all steps[d] have -1.
template <int kDims>
struct irregular_nest_row {
    static constexpr int kCounters = kDims;
    nest_row<kDims> counters;
    int tables[kDims];
};

template <int kDims>
const nest_row<kDims>& counters_of(const nest_row<kDims>& row) {
    return row;
}

template <int kDims>
const nest_row<kDims>& counters_of(const irregular_nest_row<kDims>& row) {
    return row.counters;
}

/// Where step n of counter d stands in the table; -1 if it is steps[d].
template <int kDims>
int table_entry(const nest_row<kDims>&, int, int) {
    return -1;
}

template <int kDims>
int table_entry(const irregular_nest_row<kDims>& row, int d, int n) {
    return row.tables[d] < 0 ? -1 : row.tables[d] + n;
}

template <class Config, int kDims>
int table_step(const nest_row<kDims>&, int) {
    return 0;
}

template <class Config, int kDims>
int table_step(const irregular_nest_row<kDims>&, int entry) {
    return Config::step(entry);
}

template <class Config, class Row>
class nest {
   public:
    explicit nest(const Row& row) : row_(row), address_(counters_of(row).start) {
#pragma HLS ARRAY_PARTITION variable = counters_ type = complete
        for (int d = 0; d < Row::kCounters; ++d) {
#pragma HLS UNROLL
            counters_[d] = 0;
        }
    }

    int address() const { return address_; }

    bool sourced() const {
        const auto& row = counters_of(row_);
        bool inside = true;
        for (int d = 0; d < Row::kCounters; ++d) {
#pragma HLS UNROLL
            inside = inside && counters_[d] >= row.lows[d] && counters_[d] < row.highs[d];
        }
        return inside;
    }

    void next() {
        const auto& row = counters_of(row_);
        bool carry = true;
        int step = 0;
        int entry = -1;  // one counter advances, so the table is read once
        for (int d = 0; d < Row::kCounters; ++d) {
#pragma HLS UNROLL
            if (carry) {
                carry = counters_[d] == row.extents[d] - 1;
                if (!carry) {
                    step = row.steps[d];
                    entry = table_entry(row_, d, counters_[d]);
                }
                counters_[d] = carry ? 0 : counters_[d] + 1;
            }
        }
        address_ += entry < 0 ? step : table_step<Config>(row_, entry);
    }

   private:
    const Row row_;
    int address_;
    int counters_[Row::kCounters];
};

}  // namespace intarsia
