// Elliptical weighted average (EWA) projection of one 3D Gaussian and its derivative.
// Zwicker et al., "EWA Splatting", 2002; Kerbl et al., "3D Gaussian Splatting", 2023, section 4.
// Scalar code shared by every device: no allocation, no library call beyond sqrt and log2.
#pragma once
#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define SPLATALK_FN static __host__ __device__ inline
#else
#define SPLATALK_FN static inline
#endif

namespace splatalk {

constexpr int kTile = 16;                 // pixels along the side of a tile
constexpr float kNear = 0.01f;            // metres; nearer Gaussians are not drawn
constexpr float kLowPass = 0.3f;          // px^2 added to the screen covariance, so that nothing falls between pixels
constexpr float kMaxAlpha = 0.999f;       // a Gaussian never hides everything behind it
constexpr float kMinAlpha = 1.0f / 255;   // contributions below this are skipped
constexpr float kMinTransmittance = 1e-4f;  // a pixel is finished before its transmittance gets here
constexpr float kLog2Min = -7.994353436858858f;  // log2(kMinAlpha)
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

struct View {
    float rotation[9];     // world to camera, row major
    float translation[3];  // metres
    float fx, fy, cx, cy;  // pixels
    int width, height;
};

// One Gaussian on the screen: one cache line, read once per tile it touches.
// log2 alpha at offset (dx, dy) from the mean is  a dx^2 + b dx dy + c dy^2 + log2_opacity.
struct alignas(64) Screen {
    float x, y;
    float a, b, c, log2_opacity;
    float red, green, blue;
    float half_height;             // px, of the ellipse where alpha = kMinAlpha
    float radius;                  // px, larger half extent of that ellipse; 0 when not drawn
    uint32_t first_pair;           // index of its first Gaussian-tile pair, pairs of a Gaussian being row major
    uint16_t tile_x0, tile_x1, tile_y0, tile_y1;  // half-open range of tiles
    uint32_t pairs;                // how many pairs; counted by the CUDA lists, which leave out tiles of the range it misses
};
static_assert(sizeof(Screen) == 64, "one cache line");

SPLATALK_FN float smaller(float a, float b) { return a < b ? a : b; }
SPLATALK_FN float larger(float a, float b) { return a > b ? a : b; }
SPLATALK_FN float clamped(float v, float low, float high) { return smaller(larger(v, low), high); }

// Rotation matrix (row major) of a quaternion wxyz that need not be normalised; returns 1 / |q|.
SPLATALK_FN float rotation_of(const float* q, float* unit, float* R) {
    const float inverse = 1.0f / std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    const float w = unit[0] = q[0] * inverse, x = unit[1] = q[1] * inverse;
    const float y = unit[2] = q[2] * inverse, z = unit[3] = q[3] * inverse;
    R[0] = 1 - 2 * (y * y + z * z), R[1] = 2 * (x * y - w * z), R[2] = 2 * (x * z + w * y);
    R[3] = 2 * (x * y + w * z), R[4] = 1 - 2 * (x * x + z * z), R[5] = 2 * (y * z - w * x);
    R[6] = 2 * (x * z - w * y), R[7] = 2 * (y * z + w * x), R[8] = 1 - 2 * (x * x + y * y);
    return inverse;
}

// What forward and backward both need of the perspective map linearised at the mean.
struct Linearised {
    float p[3];                  // mean in camera coordinates
    float rz;                    // 1 / depth
    float ux, uy;                // x/z and y/z, limited to 0.15 image sizes outside the view to keep the map sane
    bool free_x, free_y;         // whether the limits were inactive
    float j00, j02, j11, j12;    // Jacobian of the projection (the other two entries are zero)
    float m[6];                  // Jacobian times the camera's rotation, 2x3
};

SPLATALK_FN Linearised linearise(const View& view, const float* mean) {
    Linearised l;
    const float* V = view.rotation;
    for (int i = 0; i < 3; ++i)
        l.p[i] = V[3 * i] * mean[0] + V[3 * i + 1] * mean[1] + V[3 * i + 2] * mean[2] + view.translation[i];
    l.rz = 1.0f / l.p[2];
    const float margin_x = 0.15f * view.width / view.fx, margin_y = 0.15f * view.height / view.fy;
    const float x = l.p[0] * l.rz, y = l.p[1] * l.rz;
    l.ux = clamped(x, -view.cx / view.fx - margin_x, (view.width - view.cx) / view.fx + margin_x);
    l.uy = clamped(y, -view.cy / view.fy - margin_y, (view.height - view.cy) / view.fy + margin_y);
    l.free_x = l.ux == x;
    l.free_y = l.uy == y;
    l.j00 = view.fx * l.rz, l.j02 = -view.fx * l.ux * l.rz;
    l.j11 = view.fy * l.rz, l.j12 = -view.fy * l.uy * l.rz;
    for (int i = 0; i < 3; ++i) {
        l.m[i] = l.j00 * V[i] + l.j02 * V[6 + i];
        l.m[3 + i] = l.j11 * V[3 + i] + l.j12 * V[6 + i];
    }
    return l;
}

// Fills everything but first_pair. A Gaussian that is behind the camera, off screen, too transparent, degenerate
// or not finite (in float32) gets an empty tile range and radius 0. Returns its depth in metres.
SPLATALK_FN float project(const View& view, const float* mean, const float* quat, const float* scale, float opacity,
                          const float* color, Screen& out) {
    const Linearised l = linearise(view, mean);
    float unit[4], R[9];
    rotation_of(quat, unit, R);
    float u[3], v[3], xx = kLowPass, xy = 0, yy = kLowPass;
    for (int k = 0; k < 3; ++k) {
        u[k] = (l.m[0] * R[k] + l.m[1] * R[3 + k] + l.m[2] * R[6 + k]) * scale[k];
        v[k] = (l.m[3] * R[k] + l.m[4] * R[3 + k] + l.m[5] * R[6 + k]) * scale[k];
        xx += u[k] * u[k], xy += u[k] * v[k], yy += v[k] * v[k];
    }
    // xx yy - xy^2 by Cauchy-Binet: a sum of squares, which keeps its digits for needles where the difference does not.
    float det = kLowPass * (xx + yy - kLowPass);
    for (int k = 0; k < 3; ++k) {
        const float minor = u[k] * v[(k + 1) % 3] - u[(k + 1) % 3] * v[k];
        det += minor * minor;
    }
    const float inverse = 1.0f / det;
    const float log2_opacity = std::log2(opacity);
    const float squared = 2 * kLn2 * (log2_opacity - kLog2Min);  // squared Mahalanobis radius where alpha = 1/255
    out.x = view.fx * l.p[0] * l.rz + view.cx;
    out.y = view.fy * l.p[1] * l.rz + view.cy;
    out.a = -0.5f * kLog2e * yy * inverse, out.b = kLog2e * xy * inverse, out.c = -0.5f * kLog2e * xx * inverse;
    out.log2_opacity = log2_opacity;
    out.red = color[0], out.green = color[1], out.blue = color[2];
    out.first_pair = 0;
    out.pairs = 0;
    out.radius = out.half_height = 0;
    out.tile_x0 = out.tile_x1 = out.tile_y0 = out.tile_y1 = 0;
    // Sums are finite only when every term is, and comparisons with NaN are false.
    const float sum = out.x + out.y + out.a + out.b + out.c + color[0] + color[1] + color[2];
    const bool drawable = l.p[2] > kNear && squared > 0 && opacity <= 3e38f && det > 0 && sum - sum == 0;
    if (!drawable) return 0;
    const float half_width = std::sqrt(squared * xx), half_height = std::sqrt(squared * yy);
    if (!(out.x + half_width >= 0 && out.x - half_width < view.width && out.y + half_height >= 0 &&
          out.y - half_height < view.height))
        return 0;
    const int tiles_x = (view.width + kTile - 1) / kTile, tiles_y = (view.height + kTile - 1) / kTile;
    const float left = std::floor((out.x - half_width) / kTile), right = std::floor((out.x + half_width) / kTile) + 1;
    const float top = std::floor((out.y - half_height) / kTile), bottom = std::floor((out.y + half_height) / kTile) + 1;
    const int x0 = (int)clamped(left, 0, (float)tiles_x), x1 = (int)clamped(right, 0, (float)tiles_x);
    const int y0 = (int)clamped(top, 0, (float)tiles_y), y1 = (int)clamped(bottom, 0, (float)tiles_y);
    if (x0 >= x1 || y0 >= y1) return 0;
    out.tile_x0 = (uint16_t)x0, out.tile_x1 = (uint16_t)x1, out.tile_y0 = (uint16_t)y0, out.tile_y1 = (uint16_t)y1;
    out.half_height = half_height;
    out.radius = larger(half_width, half_height);
    return l.p[2];
}

// Sums over the pixels a Gaussian touches, with s = alpha dL/dalpha and (dx, dy) = pixel - mean.
struct ScreenSums {
    float s, s_dx, s_dxdx, s_dy, s_dxdy, s_dydy;
    float red, green, blue;  // sum of blending weight times dL/dpixel
};
constexpr int kSums = 9;
static_assert(sizeof(ScreenSums) == kSums * sizeof(float), "plain floats");

// Gradients of one drawn Gaussian from its screen sums. Outputs are written, not added to.
SPLATALK_FN void project_backward(const View& view, const float* mean, const float* quat, const float* scale,
                                  float opacity, const Screen& g, const ScreenSums& sums, float* d_mean, float* d_quat,
                                  float* d_scale, float* d_opacity, float* d_color, float* d_mean2d) {
    // The conic K = [[A, B], [B, C]] is the inverse screen covariance: log2 alpha = log2(o) - log2(e)/2 d^T K d.
    const float A = -2 * kLn2 * g.a, B = -kLn2 * g.b, C = -2 * kLn2 * g.c;
    const float dA = -0.5f * sums.s_dxdx, dB = -0.5f * sums.s_dxdy, dC = -0.5f * sums.s_dydy;  // dB: half of dL/dB
    const float dx2d = A * sums.s_dx + B * sums.s_dy, dy2d = B * sums.s_dx + C * sums.s_dy;
    d_mean2d[0] = dx2d, d_mean2d[1] = dy2d;
    *d_opacity = sums.s / opacity;
    d_color[0] = sums.red, d_color[1] = sums.green, d_color[2] = sums.blue;
    // d covariance = -K dK K.
    const float p00 = A * dA + B * dB, p01 = A * dB + B * dC, p10 = B * dA + C * dB, p11 = B * dB + C * dC;
    const float gxx = -(p00 * A + p01 * B), gxy = -(p00 * B + p01 * C), gyy = -(p10 * B + p11 * C);

    const Linearised l = linearise(view, mean);
    float unit[4], R[9], dR[9], dm[6] = {0, 0, 0, 0, 0, 0};
    const float inverse_norm = rotation_of(quat, unit, R);
    for (int k = 0; k < 3; ++k) {
        const float u0 = l.m[0] * R[k] + l.m[1] * R[3 + k] + l.m[2] * R[6 + k];
        const float v0 = l.m[3] * R[k] + l.m[4] * R[3 + k] + l.m[5] * R[6 + k];
        const float u = u0 * scale[k], v = v0 * scale[k];
        const float du = 2 * (gxx * u + gxy * v), dv = 2 * (gxy * u + gyy * v);
        d_scale[k] = du * u0 + dv * v0;
        const float du0 = du * scale[k], dv0 = dv * scale[k];
        for (int i = 0; i < 3; ++i) {
            dR[3 * i + k] = du0 * l.m[i] + dv0 * l.m[3 + i];
            dm[i] += du0 * R[3 * i + k];
            dm[3 + i] += dv0 * R[3 * i + k];
        }
    }
    const float* V = view.rotation;
    const float dj00 = dm[0] * V[0] + dm[1] * V[1] + dm[2] * V[2], dj02 = dm[0] * V[6] + dm[1] * V[7] + dm[2] * V[8];
    const float dj11 = dm[3] * V[3] + dm[4] * V[4] + dm[5] * V[5], dj12 = dm[3] * V[6] + dm[4] * V[7] + dm[5] * V[8];
    const float fx = view.fx, fy = view.fy, rz = l.rz;
    // j02 = -fx ux / z: with ux = x/z it falls with z^2, with ux at its limit only with z.
    float dpx = dx2d * fx * rz, dpy = dy2d * fy * rz;
    float dpz = -(dx2d * fx * l.p[0] + dy2d * fy * l.p[1]) * rz * rz - (dj00 * fx + dj11 * fy) * rz * rz;
    dpz += dj02 * fx * l.ux * rz * rz * (l.free_x ? 2.0f : 1.0f);
    dpz += dj12 * fy * l.uy * rz * rz * (l.free_y ? 2.0f : 1.0f);
    if (l.free_x) dpx -= dj02 * fx * rz * rz;
    if (l.free_y) dpy -= dj12 * fy * rz * rz;
    for (int i = 0; i < 3; ++i) d_mean[i] = V[i] * dpx + V[3 + i] * dpy + V[6 + i] * dpz;

    const float w = unit[0], x = unit[1], y = unit[2], z = unit[3];
    const float dq[4] = {
        2 * (x * (dR[7] - dR[5]) + y * (dR[2] - dR[6]) + z * (dR[3] - dR[1])),
        2 * (y * (dR[1] + dR[3]) + z * (dR[2] + dR[6]) + w * (dR[7] - dR[5]) - 2 * x * (dR[4] + dR[8])),
        2 * (x * (dR[1] + dR[3]) + z * (dR[5] + dR[7]) + w * (dR[2] - dR[6]) - 2 * y * (dR[0] + dR[8])),
        2 * (x * (dR[2] + dR[6]) + y * (dR[5] + dR[7]) + w * (dR[3] - dR[1]) - 2 * z * (dR[0] + dR[4])),
    };
    const float along = dq[0] * w + dq[1] * x + dq[2] * y + dq[3] * z;  // scaling a quaternion changes nothing
    for (int i = 0; i < 4; ++i) d_quat[i] = (dq[i] - along * unit[i]) * inverse_norm;
}

}  // namespace splatalk
