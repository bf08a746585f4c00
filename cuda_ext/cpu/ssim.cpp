// Structural similarity with an 11x11 Gaussian window (Wang et al., 2004), values and gradient in one pass each.
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

// Vertical window sums of a, b, a^2, b^2 and ab around row y.
void moments_row(const float* a, const float* b, Image size, int y, const Taps& taps, RowBuffers& rows) {
    for (int x = 0; x < size.width; x += kLanes) {
        const int n = size.width - x < kLanes ? size.width - x : kLanes;
        F16 sa = splat(0.0f), sb = sa, saa = sa, sbb = sa, sab = sa;
        for (int j = first_tap(y), last = last_tap(y, size.height); j <= last; ++j) {
            const int64_t at = (int64_t)(y + j - kReach) * size.width + x;
            const F16 va = load_first(a + at, n), vb = load_first(b + at, n);
            const F16 wa = va * taps.w[j], wb = vb * taps.w[j];
            sa = sa + wa;
            sb = sb + wb;
            saa = saa + wa * va;
            sbb = sbb + wb * vb;
            sab = sab + wa * vb;
        }
        store_first(rows.row(0) + x, sa, n);
        store_first(rows.row(1) + x, sb, n);
        store_first(rows.row(2) + x, saa, n);
        store_first(rows.row(3) + x, sbb, n);
        store_first(rows.row(4) + x, sab, n);
    }
}

// SSIM of one row times `weight`, summed; partial derivatives by mu_a, E[a^2] and E[ab] into partials if given.
float ssim_row(RowBuffers& rows, const float* weight, int width, int channels, const Taps& taps, float* partials,
               int64_t plane) {
    F16 total = splat(0.0f);
    for (int x = 0; x < width; x += kLanes) {
        const int n = width - x < kLanes ? width - x : kLanes;
        const F16 ma = blur_row(rows.row(0), x, channels, taps), mb = blur_row(rows.row(1), x, channels, taps);
        const F16 maa = ma * ma, mbb = mb * mb, mab = ma * mb;
        const F16 va = blur_row(rows.row(2), x, channels, taps) - maa;
        const F16 vb = blur_row(rows.row(3), x, channels, taps) - mbb;
        const F16 vab = blur_row(rows.row(4), x, channels, taps) - mab;
        const F16 n1 = 2.0f * mab + kC1, n2 = 2.0f * vab + kC2, d1 = maa + mbb + kC1, d2 = va + vb + kC2;
        const F16 id1 = 1.0f / d1, id2 = 1.0f / d2;
        float lanes[kLanes];
        for (int i = 0; i < kLanes; ++i) lanes[i] = i < n ? (weight ? weight[(x + i) / channels] : 1.0f) : 0.0f;
        const F16 w = load(lanes), value = n1 * n2 * id1 * id2;
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

double ssim_forward(const float* a, const float* b, const float* weight, int height, int width, int channels,
                    float* partials, int threads) {
    const Taps taps = gaussian_taps();
    const Image size = {height, width * channels};
    const int64_t plane = (int64_t)height * size.width;
    double* row_sums = (double*)std::calloc((size_t)height, sizeof(double));
    auto task = [&](int t) {
        RowBuffers rows(5, size.width, channels);
        for (int y = t * kRowsPerTask; y < height && y < (t + 1) * kRowsPerTask; ++y) {
            moments_row(a, b, size, y, taps, rows);
            row_sums[y] = ssim_row(rows, weight ? weight + (int64_t)y * width : nullptr, size.width, channels, taps,
                                   partials ? partials + (int64_t)y * size.width : nullptr, plane);
        }
    };
    parallel_for((height + kRowsPerTask - 1) / kRowsPerTask, threads, task);
    double total = 0;
    for (int y = 0; y < height; ++y) total += row_sums[y];
    std::free(row_sums);
    return total;
}

void ssim_backward(const float* a, const float* b, const float* partials, float scale, int height, int width,
                   int channels, float* d_a, int threads) {
    const Taps taps = gaussian_taps();
    const Image size = {height, width * channels};
    auto task = [&](int t) {
        RowBuffers rows(3, size.width, channels);
        for (int y = t * kRowsPerTask; y < height && y < (t + 1) * kRowsPerTask; ++y)
            gradient_row(a, b, partials, scale, size, channels, y, taps, rows, d_a);
    };
    parallel_for((height + kRowsPerTask - 1) / kRowsPerTask, threads, task);
}

}  // namespace SPLATALK_ISA
}  // namespace splatalk
