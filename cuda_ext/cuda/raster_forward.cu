// Drawing tiles.
#include "raster_tile.h"

namespace splatalk {
namespace cuda {
namespace {

struct Picture {
    int width, height;
    float *image, *alpha;
};

__device__ __forceinline__ void write_pixel(const Picture& out, const BackgroundArray& background, int x, int y, float T,
                                            const float* rgb) {
    const size_t pixel = (size_t)y * out.width + x;
    const float* behind = background.rgb + (background.plate ? 3 * pixel : 0);
    for (int c = 0; c < 3; ++c) out.image[3 * pixel + c] = fmaf(T, behind[c], rgb[c]);
    out.alpha[pixel] = 1.0f - T;
}

// A warp goes through the tile's list 32 pairs at a time: each lane fetches one and tests it against the warp's quarter,
// then all lanes together draw those that reach it. The next 32 are on their way meanwhile.
__global__ __launch_bounds__(kTileThreads) void draw_kernel(RasterState state, int tiles_x, BackgroundArray background,
                                                            Picture out) {
    SPLATALK_SHARED(Sprite, staged, kTileThreads);
    const Quarter q = quarter_of(tiles_x);
    const uint32_t begin = state.tile_start[q.tile], end = state.tile_start[q.tile + 1];
    const float px = (float)q.x + 0.5f, py = (float)q.y + 0.5f;
    float T[kPixels], rgb[kPixels][3] = {};
    bool open[kPixels];
    for (int p = 0; p < kPixels; ++p) T[p] = 1, open[p] = is_inside(q, p, out.width, out.height);

    uint32_t* changed_out = state.changed + changed_index(begin, q.tile, 0) + q.warp;
    uint32_t k = begin + (uint32_t)q.lane, batch = 0;
    const uint32_t batches = (end - begin + kWarp - 1) / kWarp;
    uint64_t entry = k < end ? state.lists[k] : 0, next_entry = k + kWarp < end ? state.lists[k + kWarp] : 0;
    Sprite sprite = {};
    if (k < end) sprite = sprite_at(state.screen, entry);
    for (; batch < batches; ++batch, k += kWarp) {
        if (!__any_sync(kFullWarp, open[0] || open[1])) break;
        staged[threadIdx.x] = sprite;
        unsigned todo = __ballot_sync(kFullWarp, k < end && reaches_quarter(sprite, q)), changed = 0;
        if (k + kWarp < end) sprite = sprite_at(state.screen, next_entry);
        next_entry = k + 2 * kWarp < end ? state.lists[k + 2 * kWarp] : 0;
        __syncwarp();
        while (todo) {
            const int j = __ffs((int)todo) - 1;
            todo &= todo - 1;
            const Sprite s = staged[q.warp * kWarp + j];
            const float dx = px - s.shape.x, dy = py - s.shape.y;
            float power[kPixels];
            bool hit[kPixels];
            for (int p = 0; p < kPixels; ++p) {
                power[p] = log2_alpha(s, dx, dy + (float)(p * kPixelGap));
                hit[p] = open[p] && power[p] >= kLog2Min;
            }
            if (!__any_sync(kFullWarp, hit[0] || hit[1])) continue;
            changed |= 1u << j;
            for (int p = 0; p < kPixels; ++p) {
                const Layer layer = layer_of(hit[p], power[p], T[p], open[p]);
                rgb[p][0] = fmaf(layer.weight, s.paint.z, rgb[p][0]);
                rgb[p][1] = fmaf(layer.weight, s.paint.w, rgb[p][1]);
                rgb[p][2] = fmaf(layer.weight, s.blue, rgb[p][2]);
                T[p] = layer.after;
            }
        }
        if (q.lane == 0) changed_out[(size_t)batch * kWarpsPerTile] = changed;
        __syncwarp();
    }
    for (uint32_t b = batch + (uint32_t)q.lane; b < batches; b += kWarp) changed_out[(size_t)b * kWarpsPerTile] = 0;
    for (int p = 0; p < kPixels; ++p)
        if (is_inside(q, p, out.width, out.height))
            write_pixel(out, background, q.x, q.y + p * kPixelGap, T[p], rgb[p]);
}

}  // namespace

void draw_tiles(const RasterSize& size, const RasterState& state, const BackgroundArray& background, float* image,
                float* alpha, Stream stream) {
    const Picture out = {size.width, size.height, image, alpha};
    SPLATALK_LAUNCH(draw_kernel, size.tiles(), kTileThreads, 0, stream, state, size.tiles_x(), background, out);
}

}  // namespace cuda
}  // namespace splatalk
