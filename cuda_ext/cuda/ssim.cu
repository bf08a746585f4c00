#include "ssim.h"

#include <cmath>
#include <cstdint>

#include "device.h"

namespace splatalk {
namespace cuda {

namespace {
constexpr int kReach = 5, kTaps = 2 * kReach + 1, kSide = 16, kHalo = kSide + 2 * kReach, kRows = kHalo * kSide,
              kThreads = kSide * kSide;
constexpr float kC1 = 0.01f * 0.01f, kC2 = 0.03f * 0.03f;  // stabilisers for values in 0..1

struct Taps { float w[kTaps]; };

Taps gaussian_taps() {
    Taps taps;
    double sum = 0, w[kTaps];
    for (int i = 0; i < kTaps; ++i) sum += w[i] = std::exp(-(i - kReach) * (i - kReach) / (2 * 1.5 * 1.5));
    for (int i = 0; i < kTaps; ++i) taps.w[i] = (float)(w[i] / sum);
    return taps;
}

// A block does a square of one channel; its pictures are read with a border, zero outside the image.
struct Square {
    int x0, y0, channel;
};

__device__ Square square_of_block() { return {(int)blockIdx.x * kSide, (int)blockIdx.y * kSide, (int)blockIdx.z}; }

__device__ void load(const float* image, int height, int width, int channels, Square at, float* halo) {
    for (int i = threadIdx.x; i < kHalo * kHalo; i += kThreads) {
        const int x = at.x0 - kReach + i % kHalo, y = at.y0 - kReach + i / kHalo;
        const bool inside = x >= 0 && x < width && y >= 0 && y < height;
        halo[i] = inside ? image[((int64_t)y * width + x) * channels + at.channel] : 0.0f;
    }
}

// Vertical window sum of horizontally blurred rows, for this thread's pixel.
__device__ float down(const float* rows, const Taps& taps, int column, int row) {
    float sum = 0;
    for (int j = 0; j < kTaps; ++j) sum += taps.w[j] * rows[(row + j) * kSide + column];
    return sum;
}

// Sum over the block; valid in thread 0. scratch: one float a thread.
__device__ float block_sum(float value, float* scratch) {
    scratch[threadIdx.x] = value;
    __syncthreads();
    for (int step = kThreads / 2; step > 0; step /= 2) {
        if ((int)threadIdx.x < step) scratch[threadIdx.x] += scratch[threadIdx.x + step];
        __syncthreads();
    }
    const float total = scratch[0];
    __syncthreads();
    return total;
}

__global__ void forward(ImagePair pair, Taps taps, float* partials, float* block_sums) {
    SPLATALK_SHARED(float, a, kHalo * kHalo);
    SPLATALK_SHARED(float, b, kHalo * kHalo);
    SPLATALK_SHARED(float, rows, 5 * kRows);
    const Square at = square_of_block();
    load(pair.a, pair.height, pair.width, pair.channels, at, a);
    load(pair.b, pair.height, pair.width, pair.channels, at, b);
    __syncthreads();
    for (int i = threadIdx.x; i < kRows; i += kThreads) {
        const float *ra = a + i / kSide * kHalo + i % kSide, *rb = b + i / kSide * kHalo + i % kSide;
        float sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
        for (int j = 0; j < kTaps; ++j) {
            const float wa = taps.w[j] * ra[j], wb = taps.w[j] * rb[j];
            sa += wa, sb += wb, saa += wa * ra[j], sbb += wb * rb[j], sab += wa * rb[j];
        }
        rows[i] = sa, rows[kRows + i] = sb, rows[2 * kRows + i] = saa, rows[3 * kRows + i] = sbb, rows[4 * kRows + i] = sab;
    }
    __syncthreads();
    const int column = threadIdx.x % kSide, row = threadIdx.x / kSide;
    const int x = at.x0 + column, y = at.y0 + row;
    float similarity = 0, difference = 0;
    if (x < pair.width && y < pair.height) {
        const int64_t pixel = (int64_t)y * pair.width + x;
        const float ma = down(rows, taps, column, row), mb = down(rows + kRows, taps, column, row);
        const float maa = ma * ma, mbb = mb * mb, mab = ma * mb;
        const float va = down(rows + 2 * kRows, taps, column, row) - maa, vb = down(rows + 3 * kRows, taps, column, row) - mbb;
        const float vab = down(rows + 4 * kRows, taps, column, row) - mab;
        const float n1 = 2 * mab + kC1, n2 = 2 * vab + kC2, id1 = 1 / (maa + mbb + kC1), id2 = 1 / (va + vb + kC2);
        const float w = pair.ssim_weight ? pair.ssim_weight[pixel] : 1.0f;
        const float value = n1 * n2 * id1 * id2;
        similarity = w * value;
        if (partials) {
            const int64_t i = pixel * pair.channels + at.channel;
            const int64_t plane = (int64_t)pair.height * pair.width * pair.channels;
            const float by_ab = w * 2 * n1 * id1 * id2, by_aa = -w * value * id2;
            // mu_a enters directly and through both (co)variances.
            partials[i] = w * 2 * (mb * n2 * id1 * id2 - value * ma * id1) - mb * by_ab - 2 * ma * by_aa;
            partials[plane + i] = by_aa;
            partials[2 * plane + i] = by_ab;
        }
        if (pair.l1_weight) {
            const int centre = (row + kReach) * kHalo + column + kReach;
            difference = pair.l1_weight[pixel] * fabsf(a[centre] - b[centre]);
        }
    }
    float* scratch = rows;  // there is room for one float a thread
    __syncthreads();
    const float similarities = block_sum(similarity, scratch), differences = block_sum(difference, scratch);
    if (threadIdx.x == 0) {
        const int block = ((int)blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        block_sums[block] = similarities;
        block_sums[(int)(gridDim.x * gridDim.y * gridDim.z) + block] = differences;
    }
}

__global__ void backward(ImagePair pair, Taps taps, const float* partials, const float* d, float ssim_scale,
                         float l1_scale, float* d_a) {
    SPLATALK_SHARED(float, halo, 3 * kHalo * kHalo);
    SPLATALK_SHARED(float, rows, 3 * kRows);
    const Square at = square_of_block();
    const int64_t plane = (int64_t)pair.height * pair.width * pair.channels;
    for (int q = 0; q < 3; ++q) load(partials + q * plane, pair.height, pair.width, pair.channels, at, halo + q * kHalo * kHalo);
    __syncthreads();
    for (int i = threadIdx.x; i < kRows; i += kThreads)
        for (int q = 0; q < 3; ++q) {
            const float* r = halo + q * kHalo * kHalo + i / kSide * kHalo + i % kSide;
            float sum = 0;
            for (int j = 0; j < kTaps; ++j) sum += taps.w[j] * r[j];
            rows[q * kRows + i] = sum;
        }
    __syncthreads();
    const int column = threadIdx.x % kSide, row = threadIdx.x / kSide;
    const int x = at.x0 + column, y = at.y0 + row;
    if (x >= pair.width || y >= pair.height) return;
    const int64_t pixel = (int64_t)y * pair.width + x, i = pixel * pair.channels + at.channel;
    const float a = pair.a[i], b = pair.b[i];
    const float by_mu = down(rows, taps, column, row), by_aa = down(rows + kRows, taps, column, row);
    const float by_ab = down(rows + 2 * kRows, taps, column, row);
    float gradient = ssim_scale * (by_mu + 2 * a * by_aa + b * by_ab);
    if (pair.l1_weight) gradient += l1_scale * pair.l1_weight[pixel] * (float)((a > b) - (a < b));
    d_a[i] = *d * gradient;
}

dim3 squares(int height, int width, int channels) {
    return dim3((width + kSide - 1) / kSide, (height + kSide - 1) / kSide, channels);
}
}  // namespace

int ssim_blocks(int height, int width, int channels) {
    const dim3 grid = squares(height, width, channels);
    return (int)(grid.x * grid.y * grid.z);
}

void ssim_forward(const ImagePair& pair, float* partials, float* block_sums, Stream stream) {
    SPLATALK_LAUNCH(forward, squares(pair.height, pair.width, pair.channels), kThreads, 0, stream, pair, gaussian_taps(), partials,
           block_sums);
}

void ssim_backward(const ImagePair& pair, const float* partials, const float* d, float ssim_scale, float l1_scale,
                   float* d_a, Stream stream) {
    SPLATALK_LAUNCH(backward, squares(pair.height, pair.width, pair.channels), kThreads, 0, stream, pair, gaussian_taps(), partials,
           d, ssim_scale, l1_scale, d_a);
}

}  // namespace cuda
}  // namespace splatalk
