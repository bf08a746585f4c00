// From canonical Gaussians to the posed ones of a frame, and gradients back: offsets of the network, displacement by the
// face surface, two bones, and the functions that turn log-scales and logits into scales and opacities.
#include <cstdlib>
#include <cstring>

#include "kernels.h"
#include "parallel.h"
#include "simd.h"

namespace splatalk {
namespace SPLATALK_ISA {

namespace {
constexpr int kPerTask = 256;
constexpr int64_t kPerSum = 1024;  // Gaussians whose bone gradients are added up together, whatever the threads
constexpr int kOffsets = 13, kRotation = 3, kLogScales = 6, kOpacity = 9, kColor = 10;

SIMD_INLINE F16 exp_of(const F16& x) {
    const F16 p = x * 1.44269504f, low = splat(-125.0f);
    return exp2_of(smallest(select(at_least(p, low), p, low), splat(125.0f)));
}

// NaN stays NaN, so that such a Gaussian is not drawn.
void exp_all(const float* x, int n, float* out) {
    for (int i = 0; i < n; i += kLanes) {
        const F16 v = load_first(x + i, n - i), e = exp_of(v);
        store_first(out + i, select(at_most(v, v), e, v), n - i);
    }
}

void sigmoid_all(const float* x, int n, float* out) {
    for (int i = 0; i < n; i += kLanes) {
        const F16 v = load_first(x + i, n - i), s = 1.0f / (exp_of(splat(0.0f) - v) + 1.0f);
        store_first(out + i, select(at_most(v, v), s, v), n - i);
    }
}

inline void multiply(const float a[4], const float b[4], float out[4]) {
    out[0] = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3];
    out[1] = a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2];
    out[2] = a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1];
    out[3] = a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0];
}

inline void conjugate(const float a[4], float out[4]) {
    out[0] = a[0];
    for (int i = 1; i < 4; ++i) out[i] = -a[i];
}

inline void transform(const Bone& bone, const float p[3], float out[3]) {
    for (int i = 0; i < 3; ++i)
        out[i] = bone.rotation[3 * i] * p[0] + bone.rotation[3 * i + 1] * p[1] + bone.rotation[3 * i + 2] * p[2] +
                 bone.translation[i];
}

inline void transform_back(const Bone& bone, const float d[3], float out[3]) {
    for (int i = 0; i < 3; ++i) out[i] = bone.rotation[i] * d[0] + bone.rotation[3 + i] * d[1] + bone.rotation[6 + i] * d[2];
}

// One Gaussian in the canonical frame, moved but not yet carried by the bones.
struct Moved {
    const float* offset;  // its row, or null
    float mean[3], turn[4], quat[4];
};

inline Moved moved(const Canonical& g, const Movement& m, int64_t i) {
    Moved r;
    const int32_t row = m.rows[i];
    for (int c = 0; c < 3; ++c) r.mean[c] = g.means[3 * i + c];
    if (row >= 0 && m.surface)
        for (int k = 0; k < 3; ++k)
            for (int c = 0; c < 3; ++c) r.mean[c] += m.corner_weights[3 * i + k] * m.surface[3 * m.corners[3 * i + k] + c];
    r.offset = row >= 0 && m.offsets ? m.offsets + (int64_t)kOffsets * row : nullptr;
    r.turn[0] = 1.0f;
    for (int c = 0; c < 3; ++c) r.turn[c + 1] = r.offset ? 0.5f * r.offset[kRotation + c] : 0.0f;
    if (r.offset)
        for (int c = 0; c < 3; ++c) r.mean[c] += r.offset[c];
    multiply(r.turn, g.quats + 4 * i, r.quat);
    return r;
}

inline void blend(const Bone bones[2], float w, float quat[4]) {
    for (int k = 0; k < 4; ++k) quat[k] = w * bones[0].quat[k] + (1.0f - w) * bones[1].quat[k];
}

inline int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }
}  // namespace

void pose(const Canonical& g, const Movement& m, const Bone* bones, Posed out, int threads) {
    auto task = [&](int t) {
        const int64_t begin = (int64_t)t * kPerTask, end = smaller_of(begin + kPerTask, g.count);
        const int n = (int)(end - begin);
        float weight[kPerTask];
        sigmoid_all(g.bone_logits + begin, n, weight);
        for (int64_t i = begin; i < end; ++i) {
            const Moved r = moved(g, m, i);
            const float w = weight[i - begin];
            float head[3], torso[3], bone[4];
            transform(bones[0], r.mean, head);
            transform(bones[1], r.mean, torso);
            blend(bones, w, bone);
            multiply(bone, r.quat, out.quats + 4 * i);
            for (int c = 0; c < 3; ++c) {
                out.means[3 * i + c] = torso[c] + w * (head[c] - torso[c]);
                out.scales[3 * i + c] = g.log_scales[3 * i + c] + (r.offset ? r.offset[kLogScales + c] : 0.0f);
                out.colors[3 * i + c] = g.colors[3 * i + c] + (r.offset ? r.offset[kColor + c] : 0.0f);
            }
            out.opacities[i] = g.opacity_logits[i] + (r.offset ? r.offset[kOpacity] : 0.0f);
        }
        exp_all(out.scales + 3 * begin, 3 * n, out.scales + 3 * begin);
        sigmoid_all(out.opacities + begin, n, out.opacities + begin);
    };
    parallel_for((int)((g.count + kPerTask - 1) / kPerTask), threads, task);
}

namespace {
void backward_one(const Canonical& g, const Movement& m, const Bone bones[2], float w, const PosedValues& posed,
                  const PosedGradients& d, const CanonicalGradients& out, int64_t i, double d_bones[2][kBoneNumbers]) {
    const Moved r = moved(g, m, i);
    const float *d_mean = d.means + 3 * i, *d_quat = d.quats + 4 * i;
    float bone[4], back[4], d_bone[4], d_moved[4], d_turn[4], by_bone[2][3], d_local[2][3];
    blend(bones, w, bone);
    conjugate(r.quat, back);
    multiply(d_quat, back, d_bone);
    conjugate(bone, back);
    multiply(back, d_quat, d_moved);
    float d_weight = 0.0f;
    for (int b = 0; b < 2; ++b) {
        const float share = b == 0 ? w : 1.0f - w;
        transform(bones[b], r.mean, by_bone[b]);
        transform_back(bones[b], d_mean, d_local[b]);
        double* sum = d_bones[b];
        for (int row = 0; row < 3; ++row)
            for (int c = 0; c < 3; ++c) sum[3 * row + c] += share * d_mean[row] * r.mean[c];
        for (int c = 0; c < 3; ++c) sum[9 + c] += share * d_mean[c];
        for (int c = 0; c < 4; ++c) sum[12 + c] += share * d_bone[c];
    }
    for (int c = 0; c < 3; ++c) d_weight += d_mean[c] * (by_bone[0][c] - by_bone[1][c]);
    for (int c = 0; c < 4; ++c) d_weight += d_bone[c] * (bones[0].quat[c] - bones[1].quat[c]);
    out.bone_logits[i] = d_weight * w * (1.0f - w);

    conjugate(r.turn, back);
    multiply(back, d_moved, out.quats + 4 * i);
    float d_offset[kOffsets];
    for (int c = 0; c < 3; ++c) {
        d_offset[c] = w * d_local[0][c] + (1.0f - w) * d_local[1][c];
        d_offset[kLogScales + c] = d.scales[3 * i + c] * posed.scales[3 * i + c];
        d_offset[kColor + c] = d.colors[3 * i + c];
        out.means[3 * i + c] = d_offset[c];
        out.log_scales[3 * i + c] = d_offset[kLogScales + c];
        out.colors[3 * i + c] = d_offset[kColor + c];
    }
    d_offset[kOpacity] = d.opacities[i] * posed.opacities[i] * (1.0f - posed.opacities[i]);
    out.opacity_logits[i] = d_offset[kOpacity];
    if (!r.offset) return;
    conjugate(g.quats + 4 * i, back);
    multiply(d_moved, back, d_turn);
    for (int c = 0; c < 3; ++c) d_offset[kRotation + c] = 0.5f * d_turn[c + 1];
    std::memcpy(out.offsets + (int64_t)kOffsets * m.rows[i], d_offset, sizeof d_offset);
}
}  // namespace

void pose_backward(const Canonical& g, const Movement& m, const Bone* bones, const PosedValues& posed, const PosedGradients& d,
                   CanonicalGradients out, float* d_bones, int threads) {
    typedef double Sums[2][kBoneNumbers];
    const int tasks = (int)((g.count + kPerSum - 1) / kPerSum);
    Sums* sums = (Sums*)std::calloc((size_t)tasks + 1, sizeof(Sums));
    auto task = [&](int t) {
        const int64_t begin = t * kPerSum, end = smaller_of(begin + kPerSum, g.count);
        float weight[kPerSum];
        sigmoid_all(g.bone_logits + begin, (int)(end - begin), weight);
        for (int64_t i = begin; i < end; ++i) backward_one(g, m, bones, weight[i - begin], posed, d, out, i, sums[t]);
    };
    parallel_for(tasks, threads, task);
    for (int b = 0; b < 2; ++b)
        for (int k = 0; k < kBoneNumbers; ++k) {
            double total = 0;
            for (int t = 0; t < tasks; ++t) total += sums[t][b][k];
            d_bones[b * kBoneNumbers + k] = (float)total;
        }
    std::free(sums);
}

}  // namespace SPLATALK_ISA
}  // namespace splatalk
