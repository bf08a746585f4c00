// What drawing a tile and its backward pass share: who has which pixel, and alpha. Both passes must come to the same alpha
// for a pixel, so multiplications that feed additions are written as fmaf.
#pragma once
#include "../common/footprint.h"
#include "device.h"
#include "raster.h"

namespace splatalk {
namespace cuda {

constexpr int kTileThreads = kWarpsPerTile * kWarp;
constexpr int kPixels = 2;                      // of a thread: one above the other
constexpr int kPixelGap = kQuarter / kPixels;   // rows between them

// A warp's quarter of a tile. Its 32 lanes are 8 columns times 4 rows.
struct Quarter {
    int tile, warp, lane;
    int left, top;    // first pixel
    int x, y;         // the lane's first pixel; its second one is kPixelGap rows below
};

__device__ __forceinline__ Quarter quarter_of(int tiles_x) {
    Quarter q;
    q.tile = blockIdx.x, q.warp = threadIdx.x / kWarp, q.lane = threadIdx.x % kWarp;
    q.left = q.tile % tiles_x * kTile + (q.warp & 1) * kQuarter;
    q.top = q.tile / tiles_x * kTile + (q.warp >> 1) * kQuarter;
    q.x = q.left + (q.lane & (kQuarter - 1)), q.y = q.top + q.lane / kQuarter;
    return q;
}

__device__ __forceinline__ bool is_inside(const Quarter& q, int pixel, int width, int height) {
    return q.x < width && q.y + pixel * kPixelGap < height;
}

// The warps' words of 32 pairs of a tile: `batch` counts them within the tile, whose first pair is `begin`.
__device__ __forceinline__ size_t changed_index(uint32_t begin, int tile, uint32_t batch) {
    return ((size_t)(begin / kWarp) + (size_t)tile + batch) * kWarpsPerTile;
}

// The part of a Screen that drawing reads, as four-float loads.
struct Sprite {
    float4 shape;  // x, y, a, b
    float4 paint;  // c, log2 opacity, red, green
    float blue, half_height;
};
static_assert(offsetof(Screen, c) == 16 && offsetof(Screen, blue) == 32 && offsetof(Screen, half_height) == 36, "layout");

__device__ __forceinline__ Sprite sprite_at(const Screen* screen, uint64_t entry) {
    const float4* parts = (const float4*)(screen + (entry >> 32));
    const float4 rest = __ldg(parts + 2);
    return {__ldg(parts), __ldg(parts + 1), rest.x, rest.y};
}

__device__ __forceinline__ bool reaches_quarter(const Sprite& s, const Quarter& q) {
    Screen g;
    g.x = s.shape.x, g.y = s.shape.y, g.a = s.shape.z, g.b = s.shape.w, g.log2_opacity = s.paint.y;
    g.half_height = s.half_height;
    const float left = (float)q.left + 0.5f, top = (float)q.top + 0.5f;
    return reaches(footprint_of(g), left, left + (kQuarter - 1), top, top + (kQuarter - 1));
}

// log2 alpha at an offset from the mean, before the limits.
__device__ __forceinline__ float log2_alpha(const Sprite& s, float dx, float dy) {
    return fmaf(dx, fmaf(s.shape.z, dx, s.shape.w * dy), fmaf(s.paint.x * dy, dy, s.paint.y));
}

// What one Gaussian does to a pixel with transmittance T. A pixel that would get too dark is closed and left as it is.
struct Layer {
    float alpha, unlimited;  // 0 where nothing is drawn
    float weight, after;     // blending weight, and T behind it
};
__device__ __forceinline__ Layer layer_of(bool hit, float power, float T, bool& open) {
    Layer l = {0, 0, 0, T};
    if (!hit) return l;
    l.unlimited = exp2_fast(power);
    l.alpha = smaller(l.unlimited, kMaxAlpha);
    l.after = fmaf(-l.alpha, T, T);
    l.weight = l.alpha * T;
    if (l.after <= kMinTransmittance) {
        open = false;
        l = {0, 0, 0, T};
    }
    return l;
}

}  // namespace cuda
}  // namespace splatalk
