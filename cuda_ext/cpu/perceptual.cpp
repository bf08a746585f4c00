// LPIPS on AlexNet features (Zhang et al. 2018, eq. 1) of two pictures, and its gradient with respect to the first.
// Both pictures go through the five convolutions together, so that kernels are read once. The first convolution, 11x11 with
// stride 4, is one of 3x3 with stride 1 on blocks of 4x4 pixels, whose 48 numbers are its channels.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels.h"
#include "parallel.h"
#include "simd.h"
#include "winograd.h"

namespace splatalk {
namespace SPLATALK_ISA {

namespace {
constexpr int kLayers = kPerceptualLayers, kBlockSide = 4, kBlockPad = 2;
constexpr int64_t kPixelsPerTask = 32;

struct Layer {
    int in, out, points, side, pad;
    bool pooled;  // 3x3 maxima with stride 2 before it
};
constexpr Layer kLayer[kLayers] = {{48, 64, 4, 3, 0, false}, {64, 192, 6, 5, 2, true}, {192, 384, 4, 3, 1, true},
                                   {384, 256, 4, 3, 1, false}, {256, 256, 4, 3, 1, false}};

inline int64_t kernel_floats(const Layer& l) { return (int64_t)l.points * l.points * l.in * l.out; }
inline int pooled_size(int n) { return (n - 3) / 2 + 1; }

// What goes into each convolution and comes out of it for a picture of this size.
struct Planes {
    Plane in[kLayers], out[kLayers];
    int64_t kept;  // floats of all `out` of one picture
    Planes(int height, int width) : kept(0) {
        for (int l = 0; l < kLayers; ++l) {
            int h, w;
            if (l == 0) {
                h = (height + 2 * kBlockPad - 11) / kBlockSide + 3, w = (width + 2 * kBlockPad - 11) / kBlockSide + 3;
            } else {
                h = out[l - 1].height, w = out[l - 1].width;
                if (kLayer[l].pooled) h = pooled_size(h), w = pooled_size(w);
            }
            const int less = kLayer[l].side - 1 - 2 * kLayer[l].pad;
            in[l] = {h, w, kLayer[l].in};
            out[l] = {h - less, w - less, kLayer[l].out};
            kept += out[l].floats();
        }
    }
    int64_t largest() const {
        int64_t most = 0;
        for (int l = 0; l < kLayers; ++l)
            for (const Plane* p : {&in[l], &out[l]}) most = p->floats() > most ? p->floats() : most;
        return most;
    }
};

// The packed numbers of a layer: kernels for the way there and for the way back, bias, weight of each channel.
struct Weights {
    const float *there, *back, *bias, *weight;
};

inline Weights weights_of(const float* packed, int layer) {
    for (int l = 0;; ++l) {
        const int64_t kernels = kernel_floats(kLayer[l]);
        if (l == layer) return {packed, packed + kernels, packed + 2 * kernels, packed + 2 * kernels + kLayer[l].out};
        packed += 2 * kernels + 2 * kLayer[l].out;
    }
}

inline Convolution there(const Planes& planes, const float* packed, int l) {
    const Weights w = weights_of(packed, l);
    return {planes.in[l], planes.out[l], kLayer[l].points, kLayer[l].pad, w.there, w.bias};
}

inline Convolution back(const Planes& planes, const float* packed, int l) {
    const Weights w = weights_of(packed, l);
    return {planes.out[l], planes.in[l], kLayer[l].points, kLayer[l].side - 1 - kLayer[l].pad, w.back, nullptr};
}

int64_t most_scratch(const Planes& planes, const float* packed) {
    int64_t most = 0;
    for (int l = 0; l < kLayers; ++l) {
        const int64_t floats = scratch_floats(there(planes, packed, l));
        most = floats > most ? floats : most;
    }
    return most;
}

// Calls body(begin, end) on ranges of 0..n of fixed size.
template <class Body>
void in_ranges(int64_t n, int threads, const Body& body) {
    auto task = [&](int t) {
        const int64_t begin = t * kPixelsPerTask, end = begin + kPixelsPerTask;
        body(begin, end < n ? end : n);
    };
    parallel_for((int)((n + kPixelsPerTask - 1) / kPixelsPerTask), threads, task);
}

// The number of pixel (y, x) for channel 0 among blocks, or -1 where no block has it.
inline int64_t in_blocks(const Plane& blocks, int y, int x) {
    const int by = (y + kBlockPad) / kBlockSide, bx = (x + kBlockPad) / kBlockSide;
    if (by >= blocks.height || bx >= blocks.width) return -1;
    const int inside = (y + kBlockPad) % kBlockSide * kBlockSide + (x + kBlockPad) % kBlockSide;
    return ((int64_t)by * blocks.width + bx) * blocks.channels + 3 * inside;
}

void to_blocks(const float* image, int height, int width, const float* scale, const Plane& blocks, float* out) {
    std::memset(out, 0, sizeof(float) * (size_t)blocks.floats());
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const int64_t at = in_blocks(blocks, y, x);
            const float* pixel = image + 3 * ((int64_t)y * width + x);
            for (int c = 0; at >= 0 && c < 3; ++c) out[at + c] = pixel[c] * scale[c] + scale[3 + c];
        }
}

void from_blocks(const float* d_blocks, const Plane& blocks, const float* scale, int height, int width, float* d_image) {
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const int64_t at = in_blocks(blocks, y, x);
            float* pixel = d_image + 3 * ((int64_t)y * width + x);
            for (int c = 0; c < 3; ++c) pixel[c] = at < 0 ? 0.0f : d_blocks[at + c] * scale[c];
        }
}

SIMD_INLINE F16 larger(const F16& a, const F16& b) { return select(at_least(a, b), a, b); }

inline const float* window_at(const float* in, const Plane& p, int y, int x, int i) {
    return in + ((int64_t)(2 * y + i / 3) * p.width + 2 * x + i % 3) * p.channels;
}

void pool(const float* in, const Plane& from, const Plane& to, int images, float* out, int threads) {
    in_ranges(images * to.pixels(), threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t pixel = i % to.pixels();
            const float* image = in + i / to.pixels() * from.floats();
            const int y = (int)(pixel / to.width), x = (int)(pixel % to.width);
            for (int c = 0; c < to.channels; c += kLanes) {
                F16 most = load(window_at(image, from, y, x, 0) + c);
                for (int k = 1; k < 9; ++k) most = larger(load(window_at(image, from, y, x, k) + c), most);
                store(out + i * to.channels + c, most);
            }
        }
    });
}

// d_in (from) of d_out (to): to the first of the largest. Windows overlap, so threads share channels among them.
void pool_backward(const float* in, const Plane& from, const float* d_out, const Plane& to, float* d_in, int threads) {
    auto task = [&](int t) {
        const int c = t * kLanes;
        for (int64_t i = 0; i < from.pixels(); ++i) store(d_in + i * from.channels + c, splat(0.0f));
        for (int y = 0; y < to.height; ++y)
            for (int x = 0; x < to.width; ++x) {
                F16 most = load(window_at(in, from, y, x, 0) + c);
                for (int k = 1; k < 9; ++k) most = larger(load(window_at(in, from, y, x, k) + c), most);
                F16 left = load(d_out + ((int64_t)y * to.width + x) * to.channels + c);
                for (int k = 0; k < 9; ++k) {
                    const float* value = window_at(in, from, y, x, k) + c;
                    float* to_add = d_in + (value - in);
                    const F16 share = keep(at_least(load(value), most), left);
                    store(to_add, load(to_add) + share);
                    left = left - share;
                }
            }
    };
    parallel_for(from.channels / kLanes, threads, task);
}

// 1 / length of a pixel's channels, as LPIPS guards it, and the length.
inline float inverse_length(const float* v, int channels, float* length) {
    F16 sum = splat(0.0f);
    for (int c = 0; c < channels; c += kLanes) sum = sum + load(v + c) * load(v + c);
    const float squared = sum_of(sum);
    *length = std::sqrt(squared > 1e-20f ? squared : 1e-20f);
    return 1.0f / (*length + 1e-10f);
}

// Mean over pixels of the weighted squared difference of the unit vectors in a and b.
double distance(const float* a, const float* b, const Plane& p, const float* weight, int threads) {
    const int tasks = (int)((p.pixels() + kPixelsPerTask - 1) / kPixelsPerTask);
    double* sums = (double*)std::calloc((size_t)tasks, sizeof(double));
    in_ranges(p.pixels(), threads, [&](int64_t begin, int64_t end) {
        double total = 0;
        for (int64_t i = begin; i < end; ++i) {
            const float *u = a + i * p.channels, *v = b + i * p.channels;
            float length;
            const float ru = inverse_length(u, p.channels, &length), rv = inverse_length(v, p.channels, &length);
            F16 sum = splat(0.0f);
            for (int c = 0; c < p.channels; c += kLanes) {
                const F16 d = load(u + c) * ru - load(v + c) * rv;
                sum = sum + d * d * load(weight + c);
            }
            total += sum_of(sum);
        }
        sums[begin / kPixelsPerTask] = total;
    });
    double total = 0;
    for (int t = 0; t < tasks; ++t) total += sums[t];
    std::free(sums);
    return total / (double)p.pixels();
}

// d_a += scale times the gradient of `distance` in a; then 0 where a convolution's result was cut off at 0.
void distance_backward(const float* a, const float* b, const Plane& p, const float* weight, float scale, float* d_a,
                       int threads) {
    const float each = 2.0f * scale / (float)p.pixels();
    in_ranges(p.pixels(), threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const float *u = a + i * p.channels, *v = b + i * p.channels;
            float* d = d_a + i * p.channels;
            float length, other;
            const float ru = inverse_length(u, p.channels, &length), rv = inverse_length(v, p.channels, &other);
            F16 along = splat(0.0f);
            for (int c = 0; c < p.channels; c += kLanes)
                along = along + load(weight + c) * (load(u + c) * ru - load(v + c) * rv) * load(u + c);
            const float turn = sum_of(along) * each * ru * ru / length;
            for (int c = 0; c < p.channels; c += kLanes) {
                const F16 x = load(u + c), step = load(weight + c) * (x * ru - load(v + c) * rv) * (each * ru) - x * turn;
                store(d + c, keep(above(x, splat(0.0f)), load(d + c) + step));
            }
        }
    });
}
}  // namespace

int64_t perceptual_kept(int height, int width) { return 2 * Planes(height, width).kept; }

int64_t perceptual_packed() {
    int64_t floats = 0;
    for (const Layer& l : kLayer) floats += 2 * kernel_floats(l) + 2 * l.out;
    return floats;
}

// kept: the results of the convolutions, layer by layer, each of both pictures.
double perceptual_forward(const PicturePair& pair, const float* packed, float* kept, int threads) {
    const Planes planes(pair.height, pair.width);
    Memory input(2 * planes.largest()), scratch(most_scratch(planes, packed));
    to_blocks(pair.a, pair.height, pair.width, pair.scale, planes.in[0], input.data());
    to_blocks(pair.b, pair.height, pair.width, pair.scale, planes.in[0], input.data() + planes.in[0].floats());
    const float* from = input.data();
    double total = 0;
    for (int l = 0; l < kLayers; ++l) {
        if (kLayer[l].pooled) {
            pool(from, planes.out[l - 1], planes.in[l], 2, input.data(), threads);
            from = input.data();
        }
        convolve(there(planes, packed, l), from, 2, kept, scratch.data(), threads);
        const int64_t size = planes.out[l].floats();
        total += distance(kept, kept + size, planes.out[l], weights_of(packed, l).weight, threads);
        from = kept;
        kept += 2 * size;
    }
    return total;
}

void perceptual_backward(const PicturePair& pair, const float* packed, const float* kept, float scale, float* d_a, int threads) {
    const Planes planes(pair.height, pair.width);
    Memory one(planes.largest()), other(planes.largest()), scratch(most_scratch(planes, packed));
    const float* at = kept + 2 * planes.kept;
    float *d_out = one.data(), *d_in = other.data();
    std::memset(d_out, 0, sizeof(float) * (size_t)planes.out[kLayers - 1].floats());
    for (int l = kLayers - 1; l >= 0; --l) {
        const int64_t size = planes.out[l].floats();
        at -= 2 * size;
        distance_backward(at, at + size, planes.out[l], weights_of(packed, l).weight, scale, d_out, threads);
        convolve(back(planes, packed, l), d_out, 1, d_in, scratch.data(), threads);
        if (kLayer[l].pooled)
            pool_backward(at - 2 * planes.out[l - 1].floats(), planes.out[l - 1], d_in, planes.in[l], d_out, threads);
        else
            std::swap(d_out, d_in);
    }
    from_blocks(d_out, planes.in[0], pair.scale, pair.height, pair.width, d_a);
}

}  // namespace SPLATALK_ISA
}  // namespace splatalk
