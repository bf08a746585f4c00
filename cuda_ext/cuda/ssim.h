// Structural similarity with an 11x11 Gaussian window and, beside it, the absolute difference of two images, on CUDA.
// Same numbers as cpu/ssim.cpp; the specification is splatalk/kernels/ssim.py.
#pragma once
#include "runtime.h"

namespace splatalk {
namespace cuda {

struct ImagePair {
    const float *a, *b;  // (H, W, C)
    int height, width, channels;
    const float *ssim_weight, *l1_weight;  // (H, W), or null for 1 and 0
};

// Blocks that ssim_forward runs: it writes two sums each.
int ssim_blocks(int height, int width, int channels);

// block_sums: (2, blocks) sums of weighted SSIM and of weighted |a - b|. partials: (3, H, W, C) for the gradient, or null.
void ssim_forward(const ImagePair&, float* partials, float* block_sums, Stream);

// d_a = *d * (ssim_scale * d(sum of weighted SSIM) + l1_scale * d(sum of weighted |a - b|)); d is device memory.
void ssim_backward(const ImagePair&, const float* partials, const float* d, float ssim_scale, float l1_scale, float* d_a,
                   Stream);

}  // namespace cuda
}  // namespace splatalk
