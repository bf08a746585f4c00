// The rasterizer on CUDA: seven launches and one memset, no allocation, no synchronisation; may be captured into a graph.
//
//   project    one thread a Gaussian: its Screen, and how many pairs each tile gets (the exact ellipse against the tile)
//   scan       one block: where each tile's pairs begin; more pairs than there is room for: nothing is drawn, and counted
//   scatter    pairs go to their tiles
//   sort       one block a tile: front to back; equal depths keep the order of the input
//   draw       one block a tile, four warps with 8x8 pixels each, which need not wait for each other
//   backward   sums per pair in a fixed order, then per Gaussian its pairs in a fixed order
//
// No result depends on the order in which threads run: the same input gives the same bits.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../common/gaussian.h"
#include "runtime.h"

namespace splatalk {
namespace cuda {

struct RasterSize {
    int gaussians, width, height;
    uint32_t capacity;  // pairs there is room for

    int tiles_x() const { return (width + kTile - 1) / kTile; }
    int tiles_y() const { return (height + kTile - 1) / kTile; }
    int tiles() const { return tiles_x() * tiles_y(); }
};

constexpr int kBlock = 256;         // threads where each has one Gaussian
constexpr int kWarpsPerTile = 4;    // each with a quarter of the tile
constexpr int kQuarter = kTile / 2;

// What a forward pass leaves for the backward pass, in one piece of device memory.
struct RasterState {
    Screen* screen;           // (N,)
    float* depths;            // (N,) metres
    uint32_t* tile_start;     // (tiles + 1,) first pair of each tile
    uint32_t* cursor;         // (tiles,) counts, then the next free place of each tile
    uint32_t* block_pairs;    // (blocks of Gaussians,) counts, then the first pair of each block
    uint32_t* status;         // [0] pairs needed, at most 2^32 - 1; [1] whether they did not fit
    uint64_t* lists;          // (capacity,) by tile and depth: Gaussian << 32 | pair
    uint32_t* pair_gaussian;  // (capacity,) Gaussian of each pair
    uint32_t* changed;        // (capacity / 32 + tiles + 1, warps) bit j: the warp drew pair j of these 32
};

// Bytes, and pointers into memory aligned to 256 bytes of that size.
size_t raster_state_bytes(const RasterSize& size);
RasterState raster_state_at(void* memory, const RasterSize& size);

struct GaussianArrays {
    const float *means, *quats, *scales, *opacities, *colors;  // (N,3) (N,4) wxyz (N,3) (N,) (N,3)
};
struct GradientArrays {
    float *means, *quats, *scales, *opacities, *colors, *means2d;  // likewise; means2d (N,2)
};
struct BackgroundArray {
    const float* rgb;  // (3,) or (H,W,3)
    bool plate;
};

// Fills screen, depths and radii (N,), and counts pairs.
void project_and_count(const View& view, const GaussianArrays& gaussians, const RasterSize& size, const RasterState& state,
                       float* radii, Stream stream);
// Counts pairs where screen and depths are filled already.
void count_pairs(const RasterSize& size, const RasterState& state, Stream stream);
// From counts to sorted lists. `most_pairs` (1,) or null is raised to the number of pairs needed, over many calls.
void list_pairs(const RasterSize& size, const RasterState& state, uint32_t* most_pairs, Stream stream);
// image (H,W,3), alpha (H,W).
void draw_tiles(const RasterSize& size, const RasterState& state, const BackgroundArray& background, float* image,
                float* alpha, Stream stream);

constexpr int kPairSums = 9;  // floats a pair, as ScreenSums
// pair_sums (capacity, kPairSums) is memory to work in; d_alpha may be null.
void draw_tiles_backward(const RasterSize& size, const RasterState& state, const float* image, const float* alpha,
                         const float* d_image, const float* d_alpha, float* pair_sums, Stream stream);
void project_backward(const View& view, const GaussianArrays& gaussians, const RasterSize& size, const RasterState& state,
                      const float* pair_sums, const GradientArrays& gradients, Stream stream);

}  // namespace cuda
}  // namespace splatalk
