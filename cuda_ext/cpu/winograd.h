// Convolutions by Winograd's minimal filtering (Winograd 1980; Lavin & Gray 2016, section 4): 2x2 outputs at a time from
// 4x4 inputs (3x3 kernels) or 6x6 inputs (5x5 kernels). Between the transforms a convolution is one matrix product for each
// of 16 or 36 positions, with 2.3 or 2.8 times fewer multiplications than taps. Channels lie last and are the lanes.
#pragma once
#include <cstdlib>

#include "parallel.h"
#include "product.h"
#include "simd.h"

namespace splatalk {
namespace SPLATALK_ISA {
namespace {

struct Plane {
    int height, width, channels;  // channels: a multiple of 16
    int64_t pixels() const { return (int64_t)height * width; }
    int64_t floats() const { return pixels() * channels; }
};

struct Convolution {
    Plane in, out;
    int points;            // inputs along the side of a tile: 4 or 6
    int pad;               // out (y, x) sees in (y - pad .. , x - pad ..), zeros outside
    const float* kernels;  // transformed, (points^2, out / 16, in, 16)
    const float* bias;     // (out,): added, and what is negative becomes 0; or null
};

constexpr int kTilesAtOnce = 96, kTilesOfTask = 24;
constexpr int kPanelsPerTask = 4;

inline int tiles_along(int outputs) { return (outputs + 1) / 2; }

inline int64_t floats_of_tile(const Convolution& c) {
    return (int64_t)c.points * c.points * (c.in.channels + c.out.channels);
}

// Floats of memory that `convolve` needs beside its arguments.
inline int64_t scratch_floats(const Convolution& c) { return kTilesAtOnce * floats_of_tile(c); }

class Memory {
public:
    explicit Memory(int64_t floats) : data_((float*)std::malloc((size_t)(floats + 1) * sizeof(float))) {}
    ~Memory() { std::free(data_); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    float* data() { return data_; }

private:
    float* data_;
};

// Transforms along one axis, of values `step` apart. Interpolation points 0, 1, -1, infinity.
SIMD_INLINE void to_products(const F16* d, int step, F16* v, F16 (*)[4]) {
    const F16 d1 = d[step], d2 = d[2 * step];
    v[0] = d[0] - d2;
    v[step] = d1 + d2;
    v[2 * step] = d2 - d1;
    v[3 * step] = d1 - d[3 * step];
}
SIMD_INLINE void from_products(const F16* m, int step, F16* y, int y_step, F16 (*)[4]) {
    y[0] = m[0] + m[step] + m[2 * step];
    y[y_step] = m[step] - m[2 * step] - m[3 * step];
}
// Interpolation points 0, 1, -1, 2, -2, infinity.
SIMD_INLINE void to_products(const F16* d, int step, F16* v, F16 (*)[6]) {
    const F16 d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const F16 even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1, even_two = d4 - d2, odd_two = 2.0f * (d3 - d1);
    v[0] = 4.0f * d0 - 5.0f * d2 + d4;
    v[step] = even + odd;
    v[2 * step] = even - odd;
    v[3 * step] = even_two + odd_two;
    v[4 * step] = even_two - odd_two;
    v[5 * step] = 4.0f * d1 - 5.0f * d3 + d5;
}
SIMD_INLINE void from_products(const F16* m, int step, F16* y, int y_step, F16 (*)[6]) {
    const F16 m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step];
    y[0] = m[0] + (m1 + m2) + (m3 + m4);
    y[y_step] = (m1 - m2) + 2.0f * (m3 - m4) + m[5 * step];
}

// One tile of inputs, transformed: products_in at[position * step + channel].
template <int N>
void read_tile(const Convolution& c, const float* in, int y0, int x0, float* at, int64_t step) {
    F16 d[N * N], v[N * N];
    for (int k = 0; k < c.in.channels; k += kLanes) {
        for (int y = 0; y < N; ++y)
            for (int x = 0; x < N; ++x) {
                const bool inside = (unsigned)(y0 + y) < (unsigned)c.in.height && (unsigned)(x0 + x) < (unsigned)c.in.width;
                d[y * N + x] = inside ? load(in + ((int64_t)(y0 + y) * c.in.width + x0 + x) * c.in.channels + k) : splat(0.0f);
            }
        for (int x = 0; x < N; ++x) to_products(d + x, N, v + x, (F16(*)[N]) nullptr);
        for (int y = 0; y < N; ++y) to_products(v + y * N, 1, d + y * N, (F16(*)[N]) nullptr);
        for (int p = 0; p < N * N; ++p) store(at + p * step + k, d[p]);
    }
}

template <int N>
void write_tile(const Convolution& c, const float* at, int64_t step, float* out, int y0, int x0) {
    F16 m[N * N], half[2 * N], y[4];
    for (int k = 0; k < c.out.channels; k += kLanes) {
        for (int p = 0; p < N * N; ++p) m[p] = load(at + p * step + k);
        for (int x = 0; x < N; ++x) from_products(m + x, N, half + x, N, (F16(*)[N]) nullptr);
        for (int r = 0; r < 2; ++r) from_products(half + r * N, 1, y + 2 * r, 1, (F16(*)[N]) nullptr);
        for (int r = 0; r < 2 && y0 + r < c.out.height; ++r)
            for (int x = 0; x < 2 && x0 + x < c.out.width; ++x) {
                F16 value = y[2 * r + x];
                if (c.bias) {
                    value = value + load(c.bias + k);
                    value = select(at_least(value, splat(0.0f)), value, splat(0.0f));
                }
                store(out + ((int64_t)(y0 + r) * c.out.width + x0 + x) * c.out.channels + k, value);
            }
    }
}

// Tiles begin .. begin + count of all images, transformed, multiplied and transformed back. run(n, body) calls body(i) for
// each i < n.
template <int N, class Run>
inline void convolve_tiles(const Convolution& c, const float* in, int begin, int count, float* out, float* scratch, const Run& run) {
    const int across = tiles_along(c.out.width), of_image = across * tiles_along(c.out.height);
    const int panels = c.out.channels / kLanes, parts = (panels + kPanelsPerTask - 1) / kPanelsPerTask;
    const int64_t panel = (int64_t)c.in.channels * kLanes;
    const int64_t in_step = (int64_t)count * c.in.channels, out_step = (int64_t)count * c.out.channels;
    float *transformed = scratch, *products = scratch + in_step * N * N;
    run(count, [&](int i) {
        const int tile = (begin + i) % of_image;
        read_tile<N>(c, in + (begin + i) / of_image * c.in.floats(), tile / across * 2 - c.pad, tile % across * 2 - c.pad,
                     transformed + (int64_t)i * c.in.channels, in_step);
    });
    run(N * N * parts, [&](int t) {
        const int position = t / parts, first = t % parts * kPanelsPerTask;
        for (int p = first; p < first + kPanelsPerTask && p < panels; ++p)
            multiply({count, kLanes, c.in.channels, transformed + position * in_step, c.in.channels, 1,
                      c.kernels + ((int64_t)position * panels + p) * panel, kLanes, products + position * out_step + p * kLanes,
                      c.out.channels, nullptr, false});
    });
    run(count, [&](int i) {
        const int tile = (begin + i) % of_image;
        write_tile<N>(c, products + (int64_t)i * c.out.channels, out_step, out + (begin + i) / of_image * c.out.floats(),
                      tile / across * 2, tile % across * 2);
    });
}

template <int N>
void convolve(const Convolution& c, const float* in, int images, float* out, float* scratch, int threads) {
    const int all = images * tiles_along(c.out.width) * tiles_along(c.out.height);
    if (all > kTilesAtOnce) {  // enough for every thread to work on tiles of its own, which stay in its cache
        auto task = [&](int t) {
            const int begin = t * kTilesOfTask, count = all - begin < kTilesOfTask ? all - begin : kTilesOfTask;
            Memory own((int64_t)count * floats_of_tile(c));
            convolve_tiles<N>(c, in, begin, count, out, own.data(), [](int n, const auto& body) {
                for (int i = 0; i < n; ++i) body(i);
            });
        };
        parallel_for((all + kTilesOfTask - 1) / kTilesOfTask, threads, task);
    } else {
        convolve_tiles<N>(c, in, 0, all, out, scratch, [&](int n, const auto& body) { parallel_for(n, threads, body); });
    }
}

// out (images, out) of in (images, in).
void convolve(const Convolution& c, const float* in, int images, float* out, float* scratch, int threads) {
    if (c.points == 4)
        convolve<4>(c, in, images, out, scratch, threads);
    else
        convolve<6>(c, in, images, out, scratch, threads);
}

}  // namespace
}  // namespace SPLATALK_ISA
}  // namespace splatalk
