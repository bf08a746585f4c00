// The kernels that are compiled once per instruction set, and the table through which they are called.
// Everything here is plain pointers: memory belongs to the caller.
#pragma once
#include <cstdint>

#include "../common/gaussian.h"
#include "../common/hash_grid.h"

namespace splatalk {

struct Gaussians {
    int64_t count;
    const float *means, *quats, *scales, *opacities, *colors;  // (N,3) (N,4) wxyz (N,3) (N,) (N,3)
};

struct GaussianGradients {
    float *means, *quats, *scales, *opacities, *colors, *means2d;  // like Gaussians; means2d (N,2)
};

// Which Gaussians a tile draws, front to back: pairs tile_start[t] .. tile_start[t + 1].
struct TileLists {
    int tiles_x, tiles_y;
    const uint32_t* tile_start;  // (tiles + 1,)
    const uint32_t* ids;         // (pairs,) Gaussian of each pair
    uint16_t* rows;              // (pairs,) bit r: the pair changed row r of its tile (forward writes, backward reads)
};

struct Background {
    const float* rgb;  // (3,) or (H,W,3)
    bool plate;
};

struct HashTriplane {
    int levels, features, entries;  // entries per plane, over all levels
    const GridLevel* level;         // (levels,)
};

struct ImagePair {
    const float *a, *b;  // (H, W, C)
    int height, width, channels;
    const float *ssim_weight, *l1_weight;  // (H, W), or null for 1 and 0
};

struct SimilaritySums {
    double ssim, l1;  // over pixels and channels, each weighted
};

struct KernelTable {
    const char* name;
    void (*project)(const View&, const Gaussians&, Screen*, float* depths, int threads);
    void (*tiles_forward)(const View&, const Screen*, const TileLists&, Background, float* image, float* alpha, int threads);
    // pair_sums: (pairs,) in Screen::first_pair order. d_alpha may be null.
    void (*tiles_backward)(const View&, const Screen*, const TileLists&, const float* image, const float* alpha,
                           const float* d_image, const float* d_alpha, ScreenSums* pair_sums, int threads);
    void (*project_backward)(const View&, const Gaussians&, const Screen*, const ScreenSums* pair_sums,
                             GaussianGradients, int threads);
    void (*hash_forward)(const HashTriplane&, const float* x, int64_t n, const float* tables, float* out, int threads);
    void (*hash_backward_tables)(const HashTriplane&, const float* x, int64_t n, const float* d_out, float* d_tables, int threads);
    void (*hash_backward_positions)(const HashTriplane&, const float* x, int64_t n, const float* tables,
                                    const float* d_out, float* d_x, int threads);
    SimilaritySums (*ssim_forward)(const ImagePair&, float* partials, int threads);  // partials: (3, H, W, C) or null
    // d_a = ssim_scale * d(sum of weighted SSIM) + l1_scale * d(sum of weighted |a - b|).
    void (*ssim_backward)(const ImagePair&, const float* partials, float ssim_scale, float l1_scale, float* d_a, int threads);
};

// The fastest table this processor runs, or the one SPLATALK_ISA names (baseline, v3, v4).
const KernelTable& kernels();

}  // namespace splatalk
