// Structural similarity with an 11x11 Gaussian window (Wang et al., 2004), and beside it the absolute difference of two
// images: values and gradient in one pass each.
// Rows are interleaved (W * C floats), so a horizontal tap is a shift by C and every channel is done alike.
// Outside the image both pictures count as zero.
#include <cmath>
#include <cstdlib>

#include "kernels.h"
#include "parallel.h"
#include "simd.h"

namespace splatalk {
namespace SPLATALK_ISA {

namespace {
constexpr int kTaps = 11, kReach = 5, kRowsPerTask = 16;
constexpr float kC1 = 0.01f * 0.01f, kC2 = 0.03f * 0.03f;  // stabilisers for values in 0..1

struct Taps { float w[kTaps]; };

inline Taps gaussian_taps() {
    Taps taps;
    double sum = 0, w[kTaps];
    for (int i = 0; i < kTaps; ++i) sum += w[i] = std::exp(-(i - kReach) * (i - kReach) / (2 * 1.5 * 1.5));
    for (int i = 0; i < kTaps; ++i) taps.w[i] = (float)(w[i] / sum);
    return taps;
}

// Rows of vertically blurred quantities, with zeros on both sides for the horizontal taps.
class RowBuffers {
public:
    RowBuffers(int quantities, int width, int channels)
        : margin_(kReach * channels), stride_((size_t)width + 2 * margin_ + 2 * kLanes) {
        data_ = (float*)std::calloc(stride_ * quantities, sizeof(float));
    }
    ~RowBuffers() { std::free(data_); }
    RowBuffers(const RowBuffers&) = delete;
    RowBuffers& operator=(const RowBuffers&) = delete;
    float* row(int quantity) { return data_ + stride_ * quantity + margin_; }

private:
    size_t margin_, stride_;
    float* data_;
};

SIMD_INLINE F16 blur_row(const float* row, int x, int channels, const Taps& taps) {
    F16 sum = load(row + x) * taps.w[kReach];
    for (int j = 1; j <= kReach; ++j)
        sum = sum + (load(row + x - j * channels) + load(row + x + j * channels)) * taps.w[kReach + j];
    return sum;
}

struct Image { int height, width; };  // width in floats

inline int first_tap(int y) { return y < kReach ? kReach - y : 0; }
inline int last_tap(int y, int height) { return y + kReach < height ? kTaps - 1 : height - 1 - y + kReach; }

// Vertical window sums of a, b, a^2 + b^2 and ab around row y.
void moments_row(const float* a, const float* b, Image size, int y, const Taps& taps, RowBuffers& rows) {
    for (int x = 0; x < size.width; x += kLanes) {
        const int n = size.width - x < kLanes ? size.width - x : kLanes;
        F16 sa = splat(0.0f), sb = sa, squares = sa, sab = sa;
        for (int j = first_tap(y), last = last_tap(y, size.height); j <= last; ++j) {
            const int64_t at = (int64_t)(y + j - kReach) * size.width + x;
            const F16 va = load_first(a + at, n), vb = load_first(b + at, n);
            const F16 wa = va * taps.w[j], wb = vb * taps.w[j];
            sa = sa + wa;
            sb = sb + wb;
            squares = squares + wa * va + wb * vb;
            sab = sab + wa * vb;
        }
        store_first(rows.row(0) + x, sa, n);
        store_first(rows.row(1) + x, sb, n);
        store_first(rows.row(2) + x, squares, n);
        store_first(rows.row(3) + x, sab, n);
    }
}

// A row of per-pixel weights, repeated for every channel.
void spread_weights(const float* weight, int pixels, int channels, float* out) {
    for (int i = 0; i < pixels; ++i)
        for (int c = 0; c < channels; ++c) *out++ = weight[i];
}

// SSIM of one row times `weight`, summed; partial derivatives by mu_a, E[a^2] and E[ab] into partials if given.
float ssim_row(RowBuffers& rows, const float* weight, int width, int channels, const Taps& taps, float* partials,
               int64_t plane) {
    F16 total = splat(0.0f);
    for (int x = 0; x < width; x += kLanes) {
        const int n = width - x < kLanes ? width - x : kLanes;
        const F16 ma = blur_row(rows.row(0), x, channels, taps), mb = blur_row(rows.row(1), x, channels, taps);
        const F16 maa = ma * ma, mbb = mb * mb, mab = ma * mb;
        const F16 variances = blur_row(rows.row(2), x, channels, taps) - (maa + mbb);
        const F16 vab = blur_row(rows.row(3), x, channels, taps) - mab;
        const F16 n1 = 2.0f * mab + kC1, n2 = 2.0f * vab + kC2, d1 = maa + mbb + kC1, d2 = variances + kC2;
        const F16 id1 = 1.0f / d1, id2 = 1.0f / d2;
        const F16 w = load_first(weight + x, n), value = n1 * n2 * id1 * id2;
        total = total + w * value;
        if (!partials) continue;
        const F16 by_ab = w * 2.0f * n1 * id1 * id2, by_aa = splat(0.0f) - w * value * id2;
        // mu_a enters directly and through both (co)variances.
        const F16 by_mu = w * 2.0f * (mb * n2 * id1 * id2 - value * ma * id1) - mb * by_ab - 2.0f * ma * by_aa;
        store_first(partials + x, by_mu, n);
        store_first(partials + plane + x, by_aa, n);
        store_first(partials + 2 * plane + x, by_ab, n);
    }
    return sum_of(total);
}

float l1_row(const float* a, const float* b, const float* weight, int width) {
    F16 total = splat(0.0f);
    for (int x = 0; x < width; x += kLanes) {
        const int n = width - x < kLanes ? width - x : kLanes;
        const F16 difference = load_first(a + x, n) - load_first(b + x, n);
        total = total - smallest(difference, 0.0f - difference) * load_first(weight + x, n);
    }
    return sum_of(total);
}

void add_l1_gradient(const float* a, const float* b, const float* weight, float scale, int width, float* out) {
    const F16 zero = splat(0.0f), one = splat(1.0f);
    for (int x = 0; x < width; x += kLanes) {
        const int n = width - x < kLanes ? width - x : kLanes;
        const F16 difference = load_first(a + x, n) - load_first(b + x, n);
        const F16 sign = select(at_most(difference, zero), zero, one) - select(at_least(difference, zero), zero, one);
        store_first(out + x, load_first(out + x, n) + sign * load_first(weight + x, n) * scale, n);
    }
}

void gradient_row(const float* a, const float* b, const float* partials, float scale, Image size, int channels, int y,
                  const Taps& taps, RowBuffers& rows, float* out) {
    const int64_t plane = (int64_t)size.height * size.width;
    for (int x = 0; x < size.width; x += kLanes) {
        const int n = size.width - x < kLanes ? size.width - x : kLanes;
        F16 sums[3] = {splat(0.0f), splat(0.0f), splat(0.0f)};
        for (int j = first_tap(y), last = last_tap(y, size.height); j <= last; ++j) {
            const float* p = partials + (int64_t)(y + j - kReach) * size.width + x;
            for (int q = 0; q < 3; ++q) sums[q] = sums[q] + load_first(p + q * plane, n) * taps.w[j];
        }
        for (int q = 0; q < 3; ++q) store_first(rows.row(q) + x, sums[q], n);
    }
    for (int x = 0; x < size.width; x += kLanes) {
        const int n = size.width - x < kLanes ? size.width - x : kLanes;
        const int64_t at = (int64_t)y * size.width + x;
        const F16 by_mu = blur_row(rows.row(0), x, channels, taps), by_aa = blur_row(rows.row(1), x, channels, taps);
        const F16 by_ab = blur_row(rows.row(2), x, channels, taps);
        const F16 va = load_first(a + at, n), vb = load_first(b + at, n);
        store_first(out + at, (by_mu + 2.0f * va * by_aa + vb * by_ab) * scale, n);
    }
}
}  // namespace

SimilaritySums ssim_forward(const ImagePair& pair, float* partials, int threads) {
    const Taps taps = gaussian_taps();
    const int height = pair.height, channels = pair.channels;
    const Image size = {height, pair.width * channels};
    const int64_t plane = (int64_t)height * size.width;
    double* row_sums = (double*)std::calloc(2 * (size_t)height, sizeof(double));
    auto row = [&](int y, RowBuffers& rows) {
        float *ssim_weight = rows.row(4), *l1_weight = rows.row(5);
        const int64_t pixel = (int64_t)y * pair.width, at = (int64_t)y * size.width;
        if (pair.ssim_weight) spread_weights(pair.ssim_weight + pixel, pair.width, channels, ssim_weight);
        moments_row(pair.a, pair.b, size, y, taps, rows);
        row_sums[2 * y] = ssim_row(rows, ssim_weight, size.width, channels, taps, partials ? partials + at : nullptr, plane);
        if (!pair.l1_weight) return;
        spread_weights(pair.l1_weight + pixel, pair.width, channels, l1_weight);
        row_sums[2 * y + 1] = l1_row(pair.a + at, pair.b + at, l1_weight, size.width);
    };
    auto task = [&](int t) {
        RowBuffers rows(6, size.width, channels);
        for (int x = 0; x < size.width; ++x) rows.row(4)[x] = 1;
        for (int y = t * kRowsPerTask; y < height && y < (t + 1) * kRowsPerTask; ++y) row(y, rows);
    };
    parallel_for((height + kRowsPerTask - 1) / kRowsPerTask, threads, task);
    SimilaritySums total = {0, 0};
    for (int y = 0; y < height; ++y) {
        total.ssim += row_sums[2 * y];
        total.l1 += row_sums[2 * y + 1];
    }
    std::free(row_sums);
    return total;
}

void ssim_backward(const ImagePair& pair, const float* partials, float ssim_scale, float l1_scale, float* d_a, int threads) {
    const Taps taps = gaussian_taps();
    const Image size = {pair.height, pair.width * pair.channels};
    auto task = [&](int t) {
        RowBuffers rows(4, size.width, pair.channels);
        for (int y = t * kRowsPerTask; y < pair.height && y < (t + 1) * kRowsPerTask; ++y) {
            gradient_row(pair.a, pair.b, partials, ssim_scale, size, pair.channels, y, taps, rows, d_a);
            if (!pair.l1_weight) continue;
            const int64_t at = (int64_t)y * size.width;
            spread_weights(pair.l1_weight + (int64_t)y * pair.width, pair.width, pair.channels, rows.row(3));
            add_l1_gradient(pair.a + at, pair.b + at, rows.row(3), l1_scale, size.width, d_a + at);
        }
    };
    parallel_for((pair.height + kRowsPerTask - 1) / kRowsPerTask, threads, task);
}

}  // namespace SPLATALK_ISA
}  // namespace splatalk
