// reduce: the elements of a word combined by a balanced tree, so that its depth is log2 of their number.
#pragma once

#include "vec.hpp"

namespace intarsia {

struct sum_of {
    template <class T>
    static T apply(T a, T b) {
#pragma HLS INLINE
        return T(a + b);
    }
};

struct maximum_of {
    template <class T>
    static T apply(T a, T b) {
#pragma HLS INLINE
        return a > b ? a : b;
    }
};

template <class Operation, int kCount>
struct reduction {
    template <class T, int kSize>
    static T from(const vec<T, kSize>& x, int first) {
#pragma HLS INLINE
        constexpr int kHalf = kCount / 2;
        return Operation::apply(reduction<Operation, kHalf>::from(x, first),
                                reduction<Operation, kCount - kHalf>::from(x, first + kHalf));
    }
};

template <class Operation>
struct reduction<Operation, 1> {
    template <class T, int kSize>
    static T from(const vec<T, kSize>& x, int first) {
#pragma HLS INLINE
        return x[first];
    }
};

/// All elements of x, combined by an associative operation.
template <class Operation, class T, int kSize>
T reduce(const vec<T, kSize>& x) {
#pragma HLS INLINE
    return reduction<Operation, kSize>::from(x, 0);
}

}  // namespace intarsia
