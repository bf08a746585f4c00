// Gaussians of one frame: attention, decoder, bones and projection in one kernel.
//
// A block does a strip of 64 moving Gaussians with 256 threads; their activations stay in shared memory as
// (feature, Gaussian) and every product is done in 4 x 4 pieces held in registers. Blocks behind the strips do the
// Gaussians that nothing but the bones moves.
#include <cmath>

#include "device.h"
#include "playback.h"
#include "playback_math.h"

namespace splatalk {
namespace cuda {

namespace {
constexpr int kPiece = 4, kColumns = kStrip / kPiece;  // threads along the strip
constexpr int kThreads = kColumns * (kDim / kPiece);
constexpr int kGroups = kThreads / kStrip;             // threads a Gaussian where each has one
static_assert(kRaw == kGroups * kPiece && kThreads == 256, "every thread has work in every layer");

struct Pass {
    Canonical canonical;
    FrameTensors tensors;
    TokenModel model;
    const float* frame;
    Posed out;
    int width, height, strips;
};

// Rows of shared memory; sizes depend on how many tokens the avatar has.
struct Layout {
    int keys, values, middle, last, activations, total;  // offsets in floats
};

__host__ __device__ Layout layout_of(int tokens, int heads) {
    Layout l;
    l.keys = 0;
    l.values = l.keys + tokens * kDim;
    l.middle = l.values + heads * tokens * kDim;
    l.last = l.middle + kDim * kDim;
    l.activations = l.last + kDim * kRaw;
    l.total = l.activations + (heads * tokens > kDim ? heads * tokens : kDim) * kStrip;
    return l;
}

__device__ void copy(const float* from, int count, float* to) {
    for (int i = threadIdx.x; i < count / 4; i += kThreads) ((float4*)to)[i] = ((const float4*)from)[i];
}

// Attention weights of the strip into activations[h tokens + t][Gaussian].
template <int H>
__device__ void attend(const float* queries, const float* keys, int tokens, float* activations) {
    constexpr int kWidth = kDim / H;
    const int g = threadIdx.x % kStrip, group = threadIdx.x / kStrip, head = group % H;
    float query[kWidth];
#pragma unroll
    for (int c = 0; c < kWidth; ++c) query[c] = queries[(head * kWidth + c) * kStrip + g];
    for (int t = group / H; t < tokens; t += kGroups / H) {
        const float4* key = (const float4*)(keys + t * kDim + head * kWidth);
        float score = 0;
#pragma unroll
        for (int c = 0; c < kWidth / 4; ++c) {
            const float4 k = key[c];
            score += query[4 * c] * k.x + query[4 * c + 1] * k.y + query[4 * c + 2] * k.z + query[4 * c + 3] * k.w;
        }
        activations[(head * tokens + t) * kStrip + g] = score;
    }
    __syncthreads();
    if (group < H) {
        float* scores = activations + group * tokens * kStrip + g;
        float most = scores[0], sum = 0;
        for (int t = 1; t < tokens; ++t) most = larger(most, scores[t * kStrip]);
        for (int t = 0; t < tokens; ++t) sum += scores[t * kStrip] = exp2_fast(scores[t * kStrip] - most);
        const float inverse = 1.0f / sum;
        for (int t = 0; t < tokens; ++t) scores[t * kStrip] *= inverse;
    }
    __syncthreads();
}

// sums[o][g] += sum_k weights[k][o] activations[k][g] for this thread's 4 outputs and 4 Gaussians.
__device__ __forceinline__ void multiply(const float* weights, const float* activations, int inputs, float (*sums)[kPiece]) {
    const float* w = weights + threadIdx.x / kColumns * kPiece;
    const float* a = activations + threadIdx.x % kColumns * kPiece;
#pragma unroll 8
    for (int k = 0; k < inputs; ++k) {
        const float4 v = *(const float4*)(w + k * kDim), u = *(const float4*)(a + k * kStrip);
        const float wv[4] = {v.x, v.y, v.z, v.w}, av[4] = {u.x, u.y, u.z, u.w};
        for (int o = 0; o < kPiece; ++o)
            for (int g = 0; g < kPiece; ++g) sums[o][g] += wv[o] * av[g];
    }
}

// The activated sums become the next layer's input, once everyone has read the last one's.
__device__ __forceinline__ void store(const float (*sums)[kPiece], float* activations) {
    float* out = activations + threadIdx.x / kColumns * kPiece * kStrip + threadIdx.x % kColumns * kPiece;
    __syncthreads();
    for (int o = 0; o < kPiece; ++o)
        *(float4*)(out + o * kStrip) = make_float4(silu(sums[o][0]), silu(sums[o][1]), silu(sums[o][2]), silu(sums[o][3]));
    __syncthreads();
}

// Decoder of the strip: attention weights in activations[..][g] become raw outputs in activations[0 .. 15][g].
__device__ void decode(const Canonical& c, int strip, const float* values, int columns, const float* middle, const float* last,
                       float* activations) {
    const int output = threadIdx.x / kColumns * kPiece, first = strip * kStrip + threadIdx.x % kColumns * kPiece;
    float sums[kPiece][kPiece];
    for (int g = 0; g < kPiece; ++g) {
        const float4 h = *(const float4*)(c.hidden + (int64_t)(first + g) * kDim + output);
        sums[0][g] = h.x, sums[1][g] = h.y, sums[2][g] = h.z, sums[3][g] = h.w;
    }
    multiply(values, activations, columns, sums);
    store(sums, activations);
    for (int o = 0; o < kPiece; ++o)
        for (int g = 0; g < kPiece; ++g) sums[o][g] = c.middle_bias[output + o];
    multiply(middle, activations, kDim, sums);
    store(sums, activations);
    const int g = threadIdx.x % kStrip, group = threadIdx.x / kStrip;
    float raw[kPiece];
    for (int o = 0; o < kPiece; ++o) raw[o] = c.last_bias[group * kPiece + o];
#pragma unroll 8
    for (int k = 0; k < kDim; ++k) {
        const float a = activations[k * kStrip + g];
        const float4 w = *(const float4*)(last + k * kRaw + group * kPiece);
        raw[0] += a * w.x, raw[1] += a * w.y, raw[2] += a * w.z, raw[3] += a * w.w;
    }
    __syncthreads();
    for (int o = 0; o < kPiece; ++o) activations[(group * kPiece + o) * kStrip + g] = raw[o];
    __syncthreads();
}

// Poses and projects one Gaussian. raw: 13 numbers of the network, `carried` already added to the first three.
__device__ void emit(const Pass& pass, int row, const float* raw) {
    const Canonical& c = pass.canonical;
    const FrameHeader& header = *(const FrameHeader*)pass.frame;
    float local[3], mean[3], quat[4], scale[3], first[3], rgb[3], turned[4], bone[4];
    const float turn[4] = {1.0f, 0.5f * raw[3], 0.5f * raw[4], 0.5f * raw[5]};
    quat_multiply(turn, c.quats + 4 * row, turned);
    const float w = c.bone[row], v = 1.0f - w;
    for (int i = 0; i < 4; ++i) bone[i] = w * header.head_quat[i] + v * header.torso_quat[i];
    quat_multiply(bone, turned, quat);
    for (int i = 0; i < 3; ++i) local[i] = c.means[3 * row + i] + raw[i];
    for (int i = 0; i < 3; ++i) {
        mean[i] = v * transformed(header.torso + 4 * i, local) + w * transformed(header.head + 4 * i, local);
        scale[i] = expf(c.log_scales[3 * row + i] + raw[6 + i]);
        first[i] = c.colors[(int64_t)3 * c.sh * row + i] + raw[10 + i];
    }
    const float opacity = sigmoid(c.opacity_logits[row] + raw[9]);
    const int at = c.order[row];
    if (pass.out.means) {
        for (int i = 0; i < 3; ++i) pass.out.means[3 * at + i] = mean[i], pass.out.scales[3 * at + i] = scale[i];
        for (int i = 0; i < 4; ++i) pass.out.quats[4 * at + i] = quat[i];
        pass.out.opacities[at] = opacity;
        float* colors = pass.out.colors + (int64_t)3 * c.sh * at;
        for (int i = 0; i < 3 * c.sh; ++i) colors[i] = i < 3 ? first[i] : c.colors[(int64_t)3 * c.sh * row + i];
    }
    if (!pass.out.screen) return;
    View view;
    for (int i = 0; i < 9; ++i) view.rotation[i] = header.rotation[i];
    for (int i = 0; i < 3; ++i) view.translation[i] = header.translation[i];
    view.fx = header.fx, view.fy = header.fy, view.cx = header.cx, view.cy = header.cy;
    view.width = pass.width, view.height = pass.height;
    float direction[3], squared = 0;
    for (int i = 0; i < 3; ++i) {  // from the camera, which stands at -R^T t
        direction[i] = mean[i];
        for (int j = 0; j < 3; ++j) direction[i] += view.rotation[3 * j + i] * view.translation[j];
        squared += direction[i] * direction[i];
    }
    const float inverse = 1.0f / larger(std::sqrt(squared), 1e-12f);
    for (int i = 0; i < 3; ++i) direction[i] *= inverse;
    sh_color(c.colors + (int64_t)3 * c.sh * row, c.sh, first, direction, rgb);
    Screen screen;
    pass.out.depths[at] = project(view, mean, quat, scale, opacity, rgb, screen);
    pass.out.screen[at] = screen;
}

template <int H>
__global__ void __launch_bounds__(kThreads) pose(Pass pass) {
    SPLATALK_DYNAMIC_SHARED(float, shared);
    const Canonical& c = pass.canonical;
    const int strip = blockIdx.x, tid = threadIdx.x;
    if (strip >= pass.strips) {
        const int row = c.moving + (strip - pass.strips) * kThreads + tid;
        const float nothing[kRaw] = {};
        if (row < c.count) emit(pass, row, nothing);
        return;
    }
    const int tokens = tokens_of(pass.model, *(const FrameHeader*)pass.frame);
    const Layout at = layout_of(tokens, H);
    float* const memory = shared;
    copy(pass.tensors.keys, tokens * kDim, memory + at.keys);
    copy(pass.tensors.values, H * tokens * kDim, memory + at.values);
    copy(c.middle, kDim * kDim, memory + at.middle);
    copy(c.last, kDim * kRaw, memory + at.last);
    __syncthreads();
    float* activations = memory + at.activations;
    attend<H>(c.queries + (int64_t)strip * kDim * kStrip, memory + at.keys, tokens, activations);
    decode(c, strip, memory + at.values, H * tokens, memory + at.middle, memory + at.last, activations);
    const int row = strip * kStrip + tid;
    if (tid >= kStrip || row >= c.moving) return;
    float raw[kRaw];
    for (int i = 0; i < kRaw; ++i) raw[i] = activations[i * kStrip + tid];
    for (int corner = 0; corner < 3; ++corner) {
        const float weight = c.corner_weights[3 * row + corner];
        const float* point = pass.tensors.surface + 3 * c.corners[3 * row + corner];
        for (int i = 0; i < 3; ++i) raw[i] += weight * point[i];
    }
    emit(pass, row, raw);
}

// A block gets more than 48 KB of shared memory only when its kernel has been allowed to.
template <class Kernel> void allow_shared(Kernel kernel, size_t bytes) {
#ifdef __CUDACC__
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
#else
    (void)kernel, (void)bytes;
#endif
}

template <int H> void launch(const Pass& pass, Stream stream) {
    const Canonical& c = pass.canonical;
    const int still = (c.count - c.moving + kThreads - 1) / kThreads;
    const int most = kEmbedded + 1 + (pass.model.speech_tokens > 1 ? pass.model.speech_tokens : 1);
    const size_t bytes = layout_of(most, H).total * sizeof(float);
    allow_shared(pose<H>, bytes);
    SPLATALK_LAUNCH(pose<H>, pass.strips + still, kThreads, bytes, stream, pass);
}
}  // namespace

void pose_frame(const TokenModel& model, const Canonical& canonical, const float* frame, const FrameTensors& tensors,
                int width, int height, const Posed& out, Stream stream) {
    if (canonical.count == 0) return;
    const int strips = (canonical.moving + kStrip - 1) / kStrip;
    const Pass pass = {canonical, tensors, model, frame, out, width, height, strips};
    switch (model.heads) {
        case 1: return launch<1>(pass, stream);
        case 2: return launch<2>(pass, stream);
        case 4: return launch<4>(pass, stream);
    }
}

}  // namespace cuda
}  // namespace splatalk
