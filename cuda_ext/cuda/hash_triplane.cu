#include "hash_triplane.h"

#include "device.h"

namespace splatalk {
namespace cuda {

namespace {
constexpr int kPlanes = 3, kThreads = 256;

struct Weights { float w[4]; };

__device__ Weights weights_of(const GridCell& c) {
    return {{(1 - c.fu) * (1 - c.fv), c.fu * (1 - c.fv), (1 - c.fu) * c.fv, c.fu * c.fv}};
}

// The two coordinates that plane 0 (x, y), 1 (y, z) or 2 (x, z) keeps.
__device__ int first_axis(int plane) { return plane == 1; }
__device__ int second_axis(int plane) { return plane == 0 ? 1 : 2; }

// One thread for one point on one level of one plane: neighbouring threads write neighbouring features.
struct Lookup {
    int64_t point;
    int plane, level;
    bool valid;
};

__device__ Lookup lookup_of(const HashTriplane& grid, int n) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int per_point = kPlanes * grid.levels;
    const int within = (int)(i % per_point);
    return {i / per_point, within / grid.levels, within % grid.levels, i < (int64_t)n * per_point};
}

template <int F>
__global__ void forward(HashTriplane grid, const float* x, int n, const float* tables, float* out) {
    const Lookup at = lookup_of(grid, n);
    if (!at.valid) return;
    const float* p = x + 3 * at.point;
    const GridLevel level = grid.level[at.level];
    const GridCell cell = grid_cell(level, p[first_axis(at.plane)], p[second_axis(at.plane)]);
    const Weights weights = weights_of(cell);
    const float* table = tables + ((int64_t)at.plane * grid.entries + level.offset) * F;
    float* o = out + (at.point * kPlanes * grid.levels + at.plane * grid.levels + at.level) * F;
    for (int f = 0; f < F; ++f) {
        float sum = 0;
        for (int k = 0; k < 4; ++k) sum += weights.w[k] * table[(int64_t)cell.index[k] * F + f];
        o[f] = sum;
    }
}

// Many points share an entry, so sums are atomic: their order, and with it the last bits, may differ between runs.
template <int F>
__global__ void backward_tables(HashTriplane grid, const float* x, int n, const float* d_out, float* d_tables) {
    const Lookup at = lookup_of(grid, n);
    if (!at.valid) return;
    const float* p = x + 3 * at.point;
    const GridLevel level = grid.level[at.level];
    const GridCell cell = grid_cell(level, p[first_axis(at.plane)], p[second_axis(at.plane)]);
    const Weights weights = weights_of(cell);
    float* table = d_tables + ((int64_t)at.plane * grid.entries + level.offset) * F;
    const float* d = d_out + (at.point * kPlanes * grid.levels + at.plane * grid.levels + at.level) * F;
    for (int k = 0; k < 4; ++k)
        for (int f = 0; f < F; ++f) atomicAdd(table + (int64_t)cell.index[k] * F + f, weights.w[k] * d[f]);
}

template <int F>
__global__ void backward_positions(HashTriplane grid, const float* x, int n, const float* tables, const float* d_out,
                                   float* d_x) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum[3] = {0, 0, 0};
    for (int plane = 0; plane < kPlanes; ++plane)
        for (int l = 0; l < grid.levels; ++l) {
            const GridLevel level = grid.level[l];
            const int first = first_axis(plane), second = second_axis(plane);
            const GridCell cell = grid_cell(level, x[3 * i + first], x[3 * i + second]);
            const float* table = tables + ((int64_t)plane * grid.entries + level.offset) * F;
            const float* d = d_out + (i * kPlanes * grid.levels + plane * grid.levels + l) * F;
            float du = 0, dv = 0;
            for (int f = 0; f < F; ++f) {
                float v[4];
                for (int k = 0; k < 4; ++k) v[k] = table[(int64_t)cell.index[k] * F + f];
                du += d[f] * ((v[1] - v[0]) * (1 - cell.fv) + (v[3] - v[2]) * cell.fv);
                dv += d[f] * ((v[2] - v[0]) * (1 - cell.fu) + (v[3] - v[1]) * cell.fu);
            }
            du = cell.inside_u ? du * (float)level.resolution : 0;
            dv = cell.inside_v ? dv * (float)level.resolution : 0;
            // Written out, because an array indexed at run time would leave the registers.
            sum[0] += plane == 1 ? 0 : du;
            sum[1] += plane == 1 ? du : plane == 0 ? dv : 0;
            sum[2] += plane == 0 ? 0 : dv;
        }
    for (int c = 0; c < 3; ++c) d_x[3 * i + c] = sum[c];
}

int blocks_for(int64_t threads) { return (int)((threads + kThreads - 1) / kThreads); }

template <int F>
void launch_forward(const HashTriplane& grid, const float* x, int n, const float* tables, float* out, Stream stream) {
    SPLATALK_LAUNCH(forward<F>, blocks_for((int64_t)n * kPlanes * grid.levels), kThreads, 0, stream, grid, x, n, tables, out);
}

template <int F>
void launch_backward_tables(const HashTriplane& grid, const float* x, int n, const float* d_out, float* d_tables,
                            Stream stream) {
    SPLATALK_LAUNCH(backward_tables<F>, blocks_for((int64_t)n * kPlanes * grid.levels), kThreads, 0, stream, grid, x, n, d_out,
           d_tables);
}

template <int F>
void launch_backward_positions(const HashTriplane& grid, const float* x, int n, const float* tables, const float* d_out,
                               float* d_x, Stream stream) {
    SPLATALK_LAUNCH(backward_positions<F>, blocks_for(n), kThreads, 0, stream, grid, x, n, tables, d_out, d_x);
}
}  // namespace

#define FOR_FEATURES(launch, ...)                   \
    switch (grid.features) {                        \
        case 1: return launch<1>(__VA_ARGS__);      \
        case 2: return launch<2>(__VA_ARGS__);      \
        case 4: return launch<4>(__VA_ARGS__);      \
        case 8: return launch<8>(__VA_ARGS__);      \
    }

void hash_forward(const HashTriplane& grid, const float* x, int n, const float* tables, float* out, Stream stream) {
    if (n == 0) return;
    FOR_FEATURES(launch_forward, grid, x, n, tables, out, stream)
}

void hash_backward_tables(const HashTriplane& grid, const float* x, int n, const float* d_out, float* d_tables,
                          Stream stream) {
    set_zero(d_tables, sizeof(float) * kPlanes * (size_t)grid.entries * grid.features, stream);
    if (n == 0) return;
    FOR_FEATURES(launch_backward_tables, grid, x, n, d_out, d_tables, stream)
}

void hash_backward_positions(const HashTriplane& grid, const float* x, int n, const float* tables, const float* d_out,
                             float* d_x, Stream stream) {
    if (n == 0) return;
    FOR_FEATURES(launch_backward_positions, grid, x, n, tables, d_out, d_x, stream)
}

}  // namespace cuda
}  // namespace splatalk
