// Gradients of drawing. It goes front to back like drawing, so that each pixel's transmittance is exactly what it was.
#include "raster_tile.h"

namespace splatalk {
namespace cuda {
namespace {

struct PictureGradient {
    int width, height;
    const float *image, *alpha, *d_image, *d_alpha;
};

// A pixel on its way: `behind` is dL/dpixel . (what the Gaussians not yet passed and the background contribute).
struct Pixel {
    float T, behind;
    float red, green, blue, alpha;  // upstream gradients
    bool open;
};

__device__ Pixel pixel_at(const PictureGradient& in, const Quarter& q, int p) {
    Pixel pixel = {1, 0, 0, 0, 0, 0, is_inside(q, p, in.width, in.height)};
    if (!pixel.open) return pixel;
    const size_t i = (size_t)(q.y + p * kPixelGap) * in.width + q.x;
    const float *value = in.image + 3 * i, *gradient = in.d_image + 3 * i;
    pixel.red = gradient[0], pixel.green = gradient[1], pixel.blue = gradient[2];
    pixel.behind = value[0] * gradient[0] + value[1] * gradient[1] + value[2] * gradient[2];
    if (in.d_alpha) {  // alpha is the image of a colour 1 before a background 0
        pixel.alpha = in.d_alpha[i];
        pixel.behind += pixel.alpha * in.alpha[i];
    }
    return pixel;
}

// Adds what one Gaussian owes to one pixel to its ScreenSums, and passes it.
__device__ __forceinline__ void pass(const Sprite& s, float dx, float dy, Pixel& pixel, float* sums) {
    const float power = log2_alpha(s, dx, dy);
    const Layer layer = layer_of(pixel.open && power >= kLog2Min, power, pixel.T, pixel.open);
    if (layer.weight == 0) return;
    const float color = fmaf(pixel.red, s.paint.z, fmaf(pixel.green, s.paint.w, fmaf(pixel.blue, s.blue, pixel.alpha)));
    pixel.behind = fmaf(-layer.weight, color, pixel.behind);
    // dL/dalpha = T color - behind / (1 - alpha); zero where alpha sits at its limit.
    const float slope = fmaf(pixel.T, color, -pixel.behind * reciprocal_fast(1.0f - layer.alpha));
    const float step = layer.unlimited <= kMaxAlpha ? layer.alpha * slope : 0;
    pixel.T = layer.after;
    const float step_dx = step * dx, step_dy = step * dy;
    sums[0] += step;
    sums[1] += step_dx;
    sums[2] += step_dx * dx;
    sums[3] += step_dy;
    sums[4] += step_dx * dy;
    sums[5] += step_dy * dy;
    sums[6] += layer.weight * pixel.red;
    sums[7] += layer.weight * pixel.green;
    sums[8] += layer.weight * pixel.blue;
}

__device__ __forceinline__ float warp_sum(float value) {
    for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kFullWarp, value, step);
    return value;
}

// Sums eight values over the warp with nine shuffles instead of forty: in each of three steps a lane hands over the half
// that it will not finish. Returns the sum of value lane / 4.
__device__ __forceinline__ float eight_sums(float* v, int lane) {
    for (int half = 4; half > 0; half /= 2) {
        const bool upper = lane & (4 * half);
        for (int i = 0; i < half; ++i) {
            const float given = upper ? v[i] : v[i + half], kept = upper ? v[i + half] : v[i];
            v[i] = kept + __shfl_xor_sync(kFullWarp, given, 4 * half);
        }
    }
    float sum = v[0];
    for (int step = 2; step > 0; step /= 2) sum += __shfl_xor_sync(kFullWarp, sum, step);
    return sum;
}

// Each warp sums over its quarter; one barrier per 32 pairs, then the warps' sums are added in their order and stored.
// Two sets of sums take turns, so that a fast warp can go on while a slow one still adds.
__global__ __launch_bounds__(kTileThreads) void backward_kernel(RasterState state, int tiles_x, PictureGradient in,
                                                                float* pair_sums) {
    constexpr int kWarpSums = kWarp * kPairSums, kSet = kWarpsPerTile * kWarpSums;
    SPLATALK_SHARED(Sprite, staged, kTileThreads);
    SPLATALK_SHARED(float, partial, 2 * kSet);
    const Quarter q = quarter_of(tiles_x);
    const uint32_t begin = state.tile_start[q.tile], end = state.tile_start[q.tile + 1];
    if (begin == end) return;
    const float px = (float)q.x + 0.5f, py = (float)q.y + 0.5f;
    Pixel pixels[kPixels];
    for (int p = 0; p < kPixels; ++p) pixels[p] = pixel_at(in, q, p);
    const uint32_t* changed_in = state.changed + changed_index(begin, q.tile, 0);
    int set = 0;
    for (uint32_t first = begin; first < end; first += kWarp, changed_in += kWarpsPerTile, set ^= 1) {
        uint32_t changed[kWarpsPerTile], todo = 0;
#pragma unroll
        for (int w = 0; w < kWarpsPerTile; ++w) {
            changed[w] = changed_in[w];
            if (w == q.warp) todo = changed[w];
        }
        if (todo >> q.lane & 1) staged[threadIdx.x] = sprite_at(state.screen, state.lists[first + q.lane]);
        __syncwarp();
        while (todo) {
            const int j = __ffs((int)todo) - 1;
            todo &= todo - 1;
            const Sprite s = staged[q.warp * kWarp + j];
            const float dx = px - s.shape.x, dy = py - s.shape.y;
            float sums[kPairSums] = {};
            for (int p = 0; p < kPixels; ++p) pass(s, dx, dy + (float)(p * kPixelGap), pixels[p], sums);
            const float last = warp_sum(sums[8]), own = eight_sums(sums, q.lane);
            const int at = set * kSet + q.warp * kWarpSums + j * kPairSums;
            if (q.lane % 4 == 0) partial[at + q.lane / 4] = own;
            if (q.lane == 1) partial[at + 8] = last;
        }
        __syncthreads();
        const int values = (int)min(end - first, (uint32_t)kWarp) * kPairSums;
        for (int v = threadIdx.x; v < values; v += kTileThreads) {
            const int j = v / kPairSums;
            float sum = 0;
#pragma unroll
            for (int w = 0; w < kWarpsPerTile; ++w)
                if (changed[w] >> j & 1) sum += partial[set * kSet + w * kWarpSums + v];
            const uint32_t pair = (uint32_t)state.lists[first + (uint32_t)j];
            pair_sums[(size_t)pair * kPairSums + v % kPairSums] = sum;
        }
    }
}

constexpr uint32_t kOwnPairs = 16;  // more pairs than this are summed by the whole warp

__device__ __forceinline__ void add_pair(const float* pair_sums, uint32_t pair, float* total) {
    for (int c = 0; c < kPairSums; ++c) total[c] += pair_sums[(size_t)pair * kPairSums + c];
}

// The sums of every lane's Gaussian over its pairs, always in the same order.
__device__ void sum_pairs(const float* pair_sums, uint32_t first, uint32_t count, int lane, float* total) {
    if (count <= kOwnPairs)
        for (uint32_t p = 0; p < count; ++p) add_pair(pair_sums, first + p, total);
    for (unsigned large = __ballot_sync(kFullWarp, count > kOwnPairs); large; large &= large - 1) {
        const int owner = __ffs((int)large) - 1;
        const uint32_t begin = __shfl_sync(kFullWarp, first, owner), pairs = __shfl_sync(kFullWarp, count, owner);
        float part[kPairSums] = {};
        for (uint32_t p = (uint32_t)lane; p < pairs; p += kWarp) add_pair(pair_sums, begin + p, part);
        for (int c = 0; c < kPairSums; ++c) {
            const float sum = warp_sum(part[c]);
            if (lane == owner) total[c] = sum;
        }
    }
}

__global__ __launch_bounds__(kBlock) void project_backward_kernel(View view, GaussianArrays in, int n, RasterState state,
                                                                  const float* pair_sums, GradientArrays out) {
    const int i = blockIdx.x * kBlock + threadIdx.x, lane = threadIdx.x % kWarp;
    const bool fits = !state.status[1];
    Screen g = {};
    if (i < n && fits) g = state.screen[i];
    float total[kPairSums] = {};
    sum_pairs(pair_sums, g.first_pair, g.pairs, lane, total);
    if (i >= n) return;
    float mean[3] = {}, quat[4] = {}, scale[3] = {}, opacity = 0, color[3] = {}, mean2d[2] = {};
    if (g.pairs > 0) {
        const ScreenSums sums = {total[0], total[1], total[2], total[3], total[4],
                                 total[5], total[6], total[7], total[8]};
        splatalk::project_backward(view, in.means + 3 * i, in.quats + 4 * i, in.scales + 3 * i, in.opacities[i], g, sums,
                                   mean, quat, scale, &opacity, color, mean2d);
    }
    for (int c = 0; c < 3; ++c) {
        out.means[3 * i + c] = mean[c], out.scales[3 * i + c] = scale[c], out.colors[3 * i + c] = color[c];
        if (c < 2) out.means2d[2 * i + c] = mean2d[c];
    }
    for (int c = 0; c < 4; ++c) out.quats[4 * i + c] = quat[c];
    out.opacities[i] = opacity;
}

}  // namespace

void draw_tiles_backward(const RasterSize& size, const RasterState& state, const float* image, const float* alpha,
                         const float* d_image, const float* d_alpha, float* pair_sums, Stream stream) {
    const PictureGradient in = {size.width, size.height, image, alpha, d_image, d_alpha};
    SPLATALK_LAUNCH(backward_kernel, size.tiles(), kTileThreads, 0, stream, state, size.tiles_x(), in, pair_sums);
}

void project_backward(const View& view, const GaussianArrays& gaussians, const RasterSize& size, const RasterState& state,
                      const float* pair_sums, const GradientArrays& gradients, Stream stream) {
    if (size.gaussians == 0) return;
    SPLATALK_LAUNCH(project_backward_kernel, (size.gaussians + kBlock - 1) / kBlock, kBlock, 0, stream, view, gaussians,
                    size.gaussians, state, pair_sums, gradients);
}

}  // namespace cuda
}  // namespace splatalk
