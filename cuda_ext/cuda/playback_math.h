// Scalar mathematics of playback: from a Gaussian's canonical state and what the network adds to it to its posed state.
#pragma once
#include <cmath>

#include "../common/gaussian.h"
#include "device.h"
#include "playback.h"

namespace splatalk {
namespace cuda {

static __device__ __forceinline__ float silu(float x) { return x / (1.0f + exp2_fast(-kLog2e * x)); }

static __device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + exp2_fast(-kLog2e * x)); }

// Tokens of this frame: the embedded ones, the null token, and those of the speech or the one that stands for none.
static __device__ __forceinline__ int tokens_of(const TokenModel& model, const FrameHeader& header) {
    return kEmbedded + 1 + (header.has_speech != 0 ? model.speech_tokens : 1);
}

// Hamilton product of wxyz quaternions.
static __device__ __forceinline__ void quat_multiply(const float* a, const float* b, float* out) {
    out[0] = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3];
    out[1] = a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2];
    out[2] = a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1];
    out[3] = a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0];
}

// (3, 4) rows of (rotation | translation) applied to a point.
static __device__ __forceinline__ float transformed(const float* row, const float* p) {
    return row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + row[3];
}

// Real spherical harmonics up to degree 3 at a unit vector, as render/sh.py has them: (0.5 + sum_k Y_k c_k) per colour,
// not below 0. `first` replaces the constant coefficient.
static __device__ inline void sh_color(const float* coefficients, int count, const float* first, const float* direction,
                                       float* rgb) {
    const float x = direction[0], y = direction[1], z = direction[2];
    for (int c = 0; c < 3; ++c) rgb[c] = 0.5f + 0.28209479177387814f * first[c];
    if (count > 1) {
        const float xx = x * x, yy = y * y, zz = z * z;
        const float basis[15] = {
            -0.4886025119029199f * y, 0.4886025119029199f * z, -0.4886025119029199f * x,
            1.0925484305920792f * x * y, -1.0925484305920792f * y * z, 0.31539156525252005f * (2 * zz - xx - yy),
            -1.0925484305920792f * x * z, 0.5462742152960396f * (xx - yy),
            -0.5900435899266435f * y * (3 * xx - yy), 2.890611442640554f * x * y * z,
            -0.4570457994644658f * y * (4 * zz - xx - yy), 0.3731763325901154f * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658f * x * (4 * zz - xx - yy), 1.445305721320277f * z * (xx - yy),
            -0.5900435899266435f * x * (xx - 3 * yy),
        };
#pragma unroll
        for (int k = 1; k < 16; ++k)
            if (k < count)
                for (int c = 0; c < 3; ++c) rgb[c] += basis[k - 1] * coefficients[3 * k + c];
    }
    for (int c = 0; c < 3; ++c) rgb[c] = larger(rgb[c], 0.0f);
}

}  // namespace cuda
}  // namespace splatalk
