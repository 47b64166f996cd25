// nest: nested counters that walk over addresses with one addition per step.
#pragma once

namespace intarsia {

/// Counters, innermost first. When counter d advances, the address changes by steps[d], which takes back what
/// the counters inside it have added. There is a source where every counter is in [low, high).
template <int kDims>
struct nest_row {
    int start;
    int extents[kDims];
    int steps[kDims];
    int lows[kDims];
    int highs[kDims];
};

template <int kDims>
class nest {
   public:
    explicit nest(const nest_row<kDims>& row) : row_(row), address_(row.start) {
#pragma HLS ARRAY_PARTITION variable = counters_ type = complete
        for (int d = 0; d < kDims; ++d) {
#pragma HLS UNROLL
            counters_[d] = 0;
        }
    }

    int address() const { return address_; }

    bool sourced() const {
        bool inside = true;
        for (int d = 0; d < kDims; ++d) {
#pragma HLS UNROLL
            inside = inside && counters_[d] >= row_.lows[d] && counters_[d] < row_.highs[d];
        }
        return inside;
    }

    void next() {
        bool carry = true;
        for (int d = 0; d < kDims; ++d) {
#pragma HLS UNROLL
            if (carry) {
                carry = counters_[d] == row_.extents[d] - 1;
                counters_[d] = carry ? 0 : counters_[d] + 1;
                if (!carry) address_ += row_.steps[d];
            }
        }
    }

   private:
    const nest_row<kDims> row_;
    int address_;
    int counters_[kDims];
};

}  // namespace intarsia
