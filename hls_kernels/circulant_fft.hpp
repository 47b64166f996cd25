// circulant_fft: a circulant block in the frequency domain, in fixed point. Twin of
// generator/circulant/fft.py.
//
// A circulant block times x is IFFT(FFT(column) * FFT(x)). All is real, so half the spectrum is enough, and
// it is packed into kBlock real numbers: bin 0, bin kBlock / 2, then real and imaginary parts of the bins
// between. Inputs are transformed once, products accumulate in the frequency domain, and each block of
// outputs is transformed back once.
//
// Numbers grow instead of being scaled, log2(kBlock) bits in all, and carry kGuard fraction bits, because
// products with twiddle factors are rounded (half up). Blocks of 2 and 4 need no twiddle factors and are
// exact without guard bits. The real split-radix transform multiplies 2, 10, 34, 98 times for blocks of 8,
// 16, 32, 64.
#pragma once

#include "product.hpp"

namespace intarsia {

/// Fraction bits of twiddle factors.
constexpr int kTwiddleBits = 14;

/// round(cos(2 pi i / 64) * 2**kTwiddleBits), i = 0 to 16.
constexpr int kCosine[17] = {16384, 16305, 16069, 15679, 15137, 14449, 13623, 12665, 11585,
                             10394, 9102,  7723,  6270,  4756,  3196,  1606,  0};

/// cos(2 pi i / 64), i = 0 to 63.
constexpr int cosine(int i) {
    return i <= 16 ? kCosine[i] : i <= 32 ? -kCosine[32 - i] : i <= 48 ? -kCosine[i - 32] : kCosine[64 - i];
}

/// value / 2**kBits, rounded half up.
template <int kBits, class Wide>
Wide round_half_up(Wide value) {
#pragma HLS INLINE
    return kBits == 0 ? value : Wide(Wide(value + Wide(Wide(Wide(1) << kBits) >> 1)) >> kBits);
}

/// (re + i im) * (cos + i sin) of the angle 2 pi kStep / 64, with three multiplications and one rounding
/// each.
template <int kStep, class Wide>
void rotate(Wide re, Wide im, Wide& out_re, Wide& out_im) {
#pragma HLS INLINE
    constexpr int c = cosine(kStep & 63);
    constexpr int s = cosine((kStep - 16) & 63);
    const Wide common = Wide(Wide(re + im) * Wide(c));
    out_re = round_half_up<kTwiddleBits>(Wide(common - Wide(im * Wide(c + s))));
    out_im = round_half_up<kTwiddleBits>(Wide(common + Wide(re * Wide(s - c))));
}

/// kRaised * value * sqrt(1/2); kRaised is 1 or 2.
template <int kRaised, class Wide>
Wide half_root(Wide value) {
#pragma HLS INLINE
    return round_half_up<kTwiddleBits - (kRaised == 2 ? 1 : 0)>(Wide(value * Wide(kCosine[8])));
}

/// Calls step<First>, ..., step<Last - 1>: a loop whose counter is a constant.
template <int kFirst, int kLast>
struct unrolled {
    template <class Step>
    static void run(Step step) {
#pragma HLS INLINE
        step.template at<kFirst>();
        unrolled<kFirst + 1, kLast>::run(step);
    }
};
template <int kLast>
struct unrolled<kLast, kLast> {
    template <class Step>
    static void run(Step) {}
};

/// The real transform of kSize numbers, between x and a packed half spectrum: split radix.
template <int kSize>
struct real_fft {
    static constexpr int kHalf = kSize / 2;
    static constexpr int kQuarter = kSize / 4;
    static constexpr int kEighth = kSize / 8;

    /// Bins m, N/4 - m, N/4 + m and N/2 - m from those of the even numbers (e) and of the odd ones (z, w).
    template <class Wide>
    struct forward_step {
        const Wide *e, *z, *w;
        Wide* out;
        template <int m>
        void at() {
#pragma HLS INLINE
            Wide a_re, a_im, b_re, b_im;
            rotate<-m * (64 / kSize)>(z[2 * m], z[2 * m + 1], a_re, a_im);
            rotate<-3 * m * (64 / kSize)>(w[2 * m], w[2 * m + 1], b_re, b_im);
            const Wide s_re = Wide(a_re + b_re), s_im = Wide(a_im + b_im);
            const Wide d_re = Wide(a_re - b_re), d_im = Wide(a_im - b_im);
            constexpr int n = kQuarter - m;  // conj(e[n]) is e[N/4 + m]
            out[2 * m] = Wide(e[2 * m] + s_re);
            out[2 * m + 1] = Wide(e[2 * m + 1] + s_im);
            out[2 * (kHalf - m)] = Wide(e[2 * m] - s_re);
            out[2 * (kHalf - m) + 1] = Wide(s_im - e[2 * m + 1]);
            out[2 * (kQuarter + m)] = Wide(e[2 * n] + d_im);
            out[2 * (kQuarter + m) + 1] = Wide(Wide(0) - e[2 * n + 1] - d_re);
            out[2 * n] = Wide(e[2 * n] - d_im);
            out[2 * n + 1] = Wide(e[2 * n + 1] - d_re);
        }
    };

    /// The way back, which leaves out all divisions by 2.
    template <class Wide>
    struct inverse_step {
        const Wide* x;
        Wide *e, *z, *w;
        template <int m>
        void at() {
#pragma HLS INLINE
            constexpr int n = kQuarter - m, up = kQuarter + m, far = kHalf - m;
            e[2 * m] = Wide(x[2 * m] + x[2 * far]);
            e[2 * m + 1] = Wide(x[2 * m + 1] - x[2 * far + 1]);
            e[2 * n] = Wide(x[2 * up] + x[2 * n]);
            e[2 * n + 1] = Wide(x[2 * n + 1] - x[2 * up + 1]);
            const Wide s_re = Wide(x[2 * m] - x[2 * far]), s_im = Wide(x[2 * m + 1] + x[2 * far + 1]);
            const Wide d_re = Wide(Wide(0) - x[2 * n + 1] - x[2 * up + 1]), d_im = Wide(x[2 * up] - x[2 * n]);
            rotate<m * (64 / kSize)>(Wide(s_re + d_re), Wide(s_im + d_im), z[2 * m], z[2 * m + 1]);
            rotate<3 * m * (64 / kSize)>(Wide(s_re - d_re), Wide(s_im - d_im), w[2 * m], w[2 * m + 1]);
        }
    };

    /// Numbers 0, kStride, 2 * kStride, ... of x.
    template <int kStride, class Wide>
    static void forward(const Wide* x, Wide* out) {
#pragma HLS INLINE
        Wide e[kHalf], z[kQuarter], w[kQuarter];
        real_fft<kHalf>::template forward<2 * kStride>(x, e);
        real_fft<kQuarter>::template forward<4 * kStride>(x + kStride, z);
        real_fft<kQuarter>::template forward<4 * kStride>(x + 3 * kStride, w);
        out[0] = Wide(e[0] + Wide(z[0] + w[0]));
        out[1] = Wide(e[0] - Wide(z[0] + w[0]));
        out[2 * kQuarter] = e[1];
        out[2 * kQuarter + 1] = Wide(w[0] - z[0]);
        if (kSize >= 8) {
            const Wide p = half_root<1>(Wide(z[1 % kQuarter] - w[1 % kQuarter]));
            const Wide s = half_root<1>(Wide(z[1 % kQuarter] + w[1 % kQuarter]));
            out[2 * kEighth] = Wide(e[2 * kEighth] + p);
            out[2 * kEighth + 1] = Wide(e[2 * kEighth + 1] - s);
            out[2 * (kHalf - kEighth)] = Wide(e[2 * kEighth] - p);
            out[2 * (kHalf - kEighth) + 1] = Wide(Wide(0) - e[2 * kEighth + 1] - s);
            unrolled<1, (kEighth > 1 ? kEighth : 1)>::run(forward_step<Wide>{e, z, w, out});
        }
    }

    /// kSize times the numbers.
    template <int kStride, class Wide>
    static void inverse(const Wide* x, Wide* out) {
#pragma HLS INLINE
        Wide e[kHalf], z[kQuarter], w[kQuarter];
        const Wide s = Wide(x[0] - x[1]), d = Wide(Wide(0) - x[2 * kQuarter + 1] - x[2 * kQuarter + 1]);
        e[0] = Wide(x[0] + x[1]);
        e[1] = Wide(x[2 * kQuarter] + x[2 * kQuarter]);
        z[0] = Wide(s + d);
        w[0] = Wide(s - d);
        if (kSize >= 8) {
            constexpr int far = kHalf - kEighth;
            e[2 * kEighth] = Wide(x[2 * kEighth] + x[2 * far]);
            e[2 * kEighth + 1] = Wide(x[2 * kEighth + 1] - x[2 * far + 1]);
            const Wide re = Wide(x[2 * kEighth] - x[2 * far]);
            const Wide im = Wide(x[2 * kEighth + 1] + x[2 * far + 1]);
            z[1 % kQuarter] = half_root<2>(Wide(re - im));
            w[1 % kQuarter] = half_root<2>(Wide(Wide(0) - re - im));
            unrolled<1, (kEighth > 1 ? kEighth : 1)>::run(inverse_step<Wide>{x, e, z, w});
        }
        real_fft<kHalf>::template inverse<2 * kStride>(e, out);
        real_fft<kQuarter>::template inverse<4 * kStride>(z, out + kStride);
        real_fft<kQuarter>::template inverse<4 * kStride>(w, out + 3 * kStride);
    }
};

template <>
struct real_fft<1> {
    template <int kStride, class Wide>
    static void forward(const Wide* x, Wide* out) {
#pragma HLS INLINE
        out[0] = x[0];
    }
    template <int kStride, class Wide>
    static void inverse(const Wide* x, Wide* out) {
#pragma HLS INLINE
        out[0] = x[0];
    }
};

template <>
struct real_fft<2> {
    template <int kStride, class Wide>
    static void forward(const Wide* x, Wide* out) {
#pragma HLS INLINE
        out[0] = Wide(x[0] + x[kStride]);
        out[1] = Wide(x[0] - x[kStride]);
    }
    template <int kStride, class Wide>
    static void inverse(const Wide* x, Wide* out) {
#pragma HLS INLINE
        out[0] = Wide(x[0] + x[1]);
        out[kStride] = Wide(x[0] - x[1]);
    }
};

/// A form of circulant.hpp whose weights are packed half spectra of columns.
///
/// Spectrum holds a transformed input, Turn all of its transform, Total the sums of products, Back the way
/// back. kGuard: fraction bits of inputs; kDropped: fraction bits of the sums that are rounded off before the
/// way back; kShift: those that are left, and log2(kBlock). kCut bits of a weight are multiplied without DSP.
template <int kBlock, int kGuard, int kDropped, int kShift, int kCut, class Input, class Spectrum, class Turn,
          class Weight, class Total, class Back, class Sum>
struct fft_form {
    using operand_t = Spectrum;
    using total_t = Total;
    static constexpr int kOperands = kBlock;
    static constexpr int kTotals = kBlock;

    static void transform(const Input* x, Spectrum* operand) {
#pragma HLS INLINE
        Turn raised[kBlock], bins[kBlock];
        for (int i = 0; i < kBlock; ++i) {
#pragma HLS UNROLL
            raised[i] = Turn(Turn(x[i]) * Turn(1 << kGuard));
        }
        real_fft<kBlock>::template forward<1>(raised, bins);
        for (int i = 0; i < kBlock; ++i) {
#pragma HLS UNROLL
            operand[i] = Spectrum(bins[i]);
        }
    }

    /// Complex products with three multiplications each; bins 0 and kBlock / 2 are real.
    static void multiply(const Spectrum* x, const Weight* column, Total* total) {
#pragma HLS INLINE
        total[0] += product<kCut>::template of<Total>(x[0], column[0]);
        total[1] += product<kCut>::template of<Total>(x[1], column[1]);
        for (int m = 1; m < kBlock / 2; ++m) {
#pragma HLS UNROLL
            const Total re = Total(column[2 * m]), im = Total(column[2 * m + 1]);
            const Total both = Total(Total(x[2 * m]) + Total(x[2 * m + 1]));
            const Total common = product<kCut>::template of<Total>(both, re);
            total[2 * m] += Total(common - product<kCut>::template of<Total>(x[2 * m + 1], Total(re + im)));
            total[2 * m + 1] += Total(common + product<kCut>::template of<Total>(x[2 * m], Total(im - re)));
        }
    }

    static void finish(const Total* total, Sum* sum) {
#pragma HLS INLINE
        Back bins[kBlock], scaled[kBlock];
        for (int i = 0; i < kBlock; ++i) {
#pragma HLS UNROLL
            bins[i] = Back(round_half_up<kDropped>(total[i]));
        }
        real_fft<kBlock>::template inverse<1>(bins, scaled);
        for (int a = 0; a < kBlock; ++a) {
#pragma HLS UNROLL
            sum[a] = Sum(round_half_up<kShift>(scaled[a]));
        }
    }
};

}  // namespace intarsia
