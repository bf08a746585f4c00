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

constexpr int kMaxStrips = 2;  // of a tile, side by side

// Which Gaussians a tile draws, front to back: pairs tile_start[t] .. tile_start[t + 1].
struct TileLists {
    int tiles_x, tiles_y;
    const uint32_t* tile_start;  // (tiles + 1,)
    const uint32_t* ids;         // (pairs,) Gaussian of each pair
    uint16_t* rows;              // (pairs, kMaxStrips) bit r: the pair may have changed row r of a strip of columns of its
                                 // tile (forward writes, backward reads)
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

// Sizes of the network in attention_mlp.cpp. Without an encoding layer, width is inputs.
constexpr int kAttentionBlock = 32;
struct AttentionMlp {
    bool encoded;
    int inputs, width, heads, tokens, hidden, second, outputs;
    int64_t kept_rows() const { return (encoded ? width : 0) + heads * tokens + hidden + second; }
    // Floats that a forward pass over n points leaves for the backward pass, which may read a little further.
    int64_t kept_floats(int64_t n) const {
        return (n + kAttentionBlock - 1) / kAttentionBlock * kAttentionBlock * kept_rows() + 4 * kAttentionBlock;
    }
    // Floats of all weights and biases.
    int64_t packed_floats() const {
        const int64_t scores = heads * tokens;
        return (encoded ? width * (inputs + 1LL) : 0) + scores * (width + 1LL) + hidden * (width + 1LL) + hidden * scores +
               second * (hidden + 1LL) + outputs * (second + 1LL);
    }
};

// Two pictures for perceptual.cpp, and what brings 0..1 to the network's range: channel * scale[c] + scale[3 + c].
struct PicturePair {
    const float *a, *b;  // (H, W, 3)
    int height, width;   // at least kPerceptualSide
    const float* scale;  // (6,)
};
constexpr int kPerceptualLayers = 5, kPerceptualSide = 35;

// Canonical Gaussians and what moves them; see posing.cpp.
struct Canonical {
    int64_t count;
    const float *means, *quats, *log_scales, *opacity_logits, *colors, *bone_logits;  // (N,3) (N,4) (N,3) (N,) (N,3) (N,)
};

struct Movement {
    const int32_t* rows;                  // (N,) row of `offsets` of each Gaussian, -1 for those that stay
    const float* offsets;                 // (M,13) or null: means, rotation, log-scales, opacity logit, colour
    const int64_t* corners;               // (N,3) vertices of the surface that carry a Gaussian; null without a surface
    const float *corner_weights, *surface;  // (N,3), (V,3) displacement
};

struct Bone { float rotation[9], translation[3], quat[4]; };
constexpr int kBoneNumbers = 16;

struct Posed { float *means, *quats, *scales, *opacities, *colors; };

struct PosedValues { const float *scales, *opacities; };  // what the backward pass needs of the forward pass

struct PosedGradients { const float *means, *quats, *scales, *opacities, *colors; };

struct CanonicalGradients { float *means, *quats, *log_scales, *opacity_logits, *colors, *bone_logits, *offsets; };

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
    // packed: encode, score, direct, value, second, last, each (rows, columns) and then its bias (value has none).
    // kept: floats for the backward pass, or null.
    void (*attention_mlp_forward)(const AttentionMlp&, const float* packed, const float* in, int64_t n, float* out,
                                  float* kept, int threads);
    void (*attention_mlp_backward)(const AttentionMlp&, const float* packed, const float* in, int64_t n, const float* kept,
                                   const float* d_out, float* d_in, float* d_packed, int threads);  // d_in may be null
    void (*pose)(const Canonical&, const Movement&, const Bone bones[2], Posed, int threads);
    // d_bones: (2, 16) in the order of Bone. d_offsets covers the rows that belong to a Gaussian; null without offsets.
    void (*pose_backward)(const Canonical&, const Movement&, const Bone bones[2], const PosedValues&, const PosedGradients&,
                          CanonicalGradients, float* d_bones, int threads);
    int64_t (*perceptual_kept)(int height, int width);  // floats that a forward pass leaves for the backward pass
    int64_t (*perceptual_packed)();                     // floats of all weights
    // packed: of each layer, kernels of the way there and of the way back, bias, weights of the channels.
    double (*perceptual_forward)(const PicturePair&, const float* packed, float* kept, int threads);
    // d_a = scale times the gradient.
    void (*perceptual_backward)(const PicturePair&, const float* packed, const float* kept, float scale, float* d_a, int threads);
};

// The fastest table this processor runs, or the one SPLATALK_ISA names (baseline, v3, v4).
const KernelTable& kernels();

}  // namespace splatalk
