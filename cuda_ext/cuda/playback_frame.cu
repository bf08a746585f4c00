// What drives a frame, as keys and values for every Gaussian, and as a displaced face surface.
#include <cmath>

#include "device.h"
#include "playback.h"
#include "playback_math.h"

namespace splatalk {
namespace cuda {

namespace {
constexpr int kThreads = 256, kParts = kThreads / kDim;

// sum_k input[k] matrix[k][column] for the 64 columns, spread over the block; the result is in all threads' `out`.
__device__ void layer(const float* input, int inputs, const float* matrix, const float* bias, float* partial, float* out) {
    const int column = threadIdx.x % kDim, part = threadIdx.x / kDim;
    float sum = 0;
    for (int k = part; k < inputs; k += kParts) sum += input[k] * matrix[k * kDim + column];
    partial[threadIdx.x] = sum;
    __syncthreads();
    if (part == 0) {
        for (int p = 1; p < kParts; ++p) sum += partial[p * kDim + column];
        out[column] = sum + bias[column];
    }
    __syncthreads();
}

// A block makes one token and what the Gaussians read of it.
__device__ void token_block(const TokenModel& model, const float* frame, const FrameTensors& out, int index, int tokens,
                            float* token, float* partial) {
    const float* conditioning = frame + kHeader;
    if (index < kEmbedded) {
        float* hidden = token + kDim;
        layer(conditioning, model.inputs, model.embed1 + index * model.inputs * kDim, model.bias1 + index * kDim, partial,
              hidden);
        if (threadIdx.x < kDim) hidden[threadIdx.x] = silu(hidden[threadIdx.x]);
        __syncthreads();
        layer(hidden, kDim, model.embed2 + index * kDim * kDim, model.bias2 + index * kDim, partial, token);
    } else {
        const int after = index - kEmbedded - 1;  // -1: the null token
        const bool spoken = after >= 0 && ((const FrameHeader*)frame)->has_speech != 0;
        const float* source = spoken ? conditioning + model.inputs + after * kDim : model.constant + (after >= 0 ? kDim : 0);
        if (threadIdx.x < kDim) token[threadIdx.x] = source[threadIdx.x];
        __syncthreads();
    }
    const int columns = kDim * (1 + model.heads);
    for (int c = threadIdx.x; c < columns; c += kThreads) {
        float sum = model.fold_bias[c];
        for (int k = 0; k < kDim; ++k) sum += token[k] * model.fold[k * columns + c];
        if (c < kDim)
            out.keys[index * kDim + c] = sum;
        else
            out.values[((c / kDim - 1) * tokens + index) * kDim + c % kDim] = sum;
    }
}

__device__ void surface_block(const TokenModel& model, const float* frame, const FrameTensors& out, int first) {
    const int coordinate = first + threadIdx.x;
    if (coordinate >= 3 * kLandmarks) return;
    const float* conditioning = frame + kHeader;
    float sum = model.rig_offset[coordinate];
    for (int k = 0; k < model.inputs; ++k) sum += conditioning[k] * model.rig[k * 3 * kLandmarks + coordinate];
    out.surface[coordinate] = sum;
}

__global__ void encode(TokenModel model, const float* frame, FrameTensors out, int token_blocks) {
    SPLATALK_SHARED(float, token, 2 * kDim);
    SPLATALK_SHARED(float, partial, kThreads);
    const int block = blockIdx.x;
    if (block >= token_blocks) {
        surface_block(model, frame, out, (block - token_blocks) * kThreads);
        return;
    }
    const int tokens = tokens_of(model, *(const FrameHeader*)frame);
    if (block < tokens) token_block(model, frame, out, block, tokens, token, partial);
}

__global__ void bytes(const float* image, int n, unsigned char* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = (unsigned char)rintf(255.0f * clamped(image[i], 0.0f, 1.0f));
}
}  // namespace

void encode_frame(const TokenModel& model, const float* frame, const FrameTensors& out, Stream stream) {
    const int token_blocks = kEmbedded + 1 + (model.speech_tokens > 1 ? model.speech_tokens : 1);
    const int surface_blocks = (3 * kLandmarks + kThreads - 1) / kThreads;
    SPLATALK_LAUNCH(encode, token_blocks + surface_blocks, kThreads, 0, stream, model, frame, out, token_blocks);
}

void to_bytes(const float* image, int n, unsigned char* out, Stream stream) {
    SPLATALK_LAUNCH(bytes, (n + kThreads - 1) / kThreads, kThreads, 0, stream, image, n, out);
}

}  // namespace cuda
}  // namespace splatalk
