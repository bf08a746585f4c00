// Playback of an avatar on CUDA: what drives one frame in, Gaussians posed and on the screen out, in two launches.
//
// What does not change over time is prepared once by splatalk/avatar/playback.py: the query of every moving Gaussian, and
// the part of the decoder's first layer that does not depend on the frame. The output projection of the attention and
// that first layer are folded into the projection of the values, so that with x the feature of a Gaussian
//     W1 (x + Wo attention(x) + bo) + b1  =  hidden + sum_h sum_t weight_ht value_ht,   value_ht = W1 Wo_h Wv_h token_t
// and no array of Gaussians x width is ever written.
#pragma once
#include <cstdint>

#include "../common/gaussian.h"
#include "runtime.h"

namespace splatalk {
namespace cuda {

constexpr int kDim = 64;          // width of tokens and features
constexpr int kStrip = 64;        // moving Gaussians a block
constexpr int kRaw = 16;          // decoder outputs, 13 used: 3 means, 3 rotation, 3 log-scales, opacity, 3 colour
constexpr int kEmbedded = 5;      // tokens made of conditioning: 2 mouth, upper face, eyes, head pose
constexpr int kMaxTokens = 32;
constexpr int kMaxHeads = 4;
constexpr int kLandmarks = 478;

// The first floats of a frame's input; behind them the conditioning (inputs,) and the speech tokens (T, kDim).
struct FrameHeader {
    float has_speech;             // 0: the sound does not drive this frame
    float head[12], torso[12];    // canonical to world, rows of (rotation | translation)
    float head_quat[4], torso_quat[4];  // their rotations, wxyz, in the same half of the sphere
    float rotation[9], translation[3];  // the camera's world to camera
    float fx, fy, cx, cy;         // pixels
};
constexpr int kHeader = sizeof(FrameHeader) / sizeof(float);

// What turns a frame's input into keys, values and the face's surface. Matrices are stored input-major: (in, out).
struct TokenModel {
    int inputs, speech_tokens, heads;
    const float *embed1, *bias1;  // (5, inputs, 64), (5, 64): zero where a token does not look
    const float *embed2, *bias2;  // (5, 64, 64), (5, 64)
    const float* constant;        // (2, 64) null token, and the token that stands for no speech
    const float *fold, *fold_bias;  // (64, 64 + 64 heads), (64 + 64 heads): key, then value of each head
    const float *rig, *rig_offset;  // (inputs, 3 * 478), (3 * 478): displacement of the face's landmarks
};

// Keys (tokens, 64) in units of log2 e, values (heads, tokens, 64), surface (478, 3).
struct FrameTensors {
    float *keys, *values, *surface;
};

// Gaussians in canonical space, the moving ones first, each row at `order[row]` of the avatar.
struct Canonical {
    int count, moving, sh;        // sh: coefficients per colour
    const int32_t* order;         // (N,)
    const float *means, *quats, *log_scales, *opacity_logits, *colors, *bone;  // colors (N, sh, 3), bone weight 0..1
    const float* queries;         // (strips, 64, kStrip)
    const float* hidden;          // (strips * kStrip, 64)
    const int32_t* corners;       // (moving, 3)
    const float* corner_weights;  // (moving, 3)
    const float *middle, *middle_bias;  // (64, 64), (64,)
    const float *last, *last_bias;      // (64, kRaw), (kRaw,), in metres, radians, ...
};

// Either part may be null. Rows are the avatar's.
struct Posed {
    Screen* screen;  // (N,), first_pair = 0
    float* depths;   // (N,) metres; 0 when not drawn
    float *means, *quats, *scales, *opacities, *colors;  // colors (N, sh, 3)
};

void encode_frame(const TokenModel&, const float* frame, const FrameTensors&, Stream);
void pose_frame(const TokenModel&, const Canonical&, const float* frame, const FrameTensors&, int width, int height,
                const Posed&, Stream);

// (n,) 0..1 to 0..255, rounded to even.
void to_bytes(const float* image, int n, unsigned char* out, Stream);

}  // namespace cuda
}  // namespace splatalk
