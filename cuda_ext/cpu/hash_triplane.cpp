// Features of points from three planes (xy, yz, xz) of a multi-resolution hash grid, and gradients.
#include <cstring>

#include "kernels.h"
#include "parallel.h"

namespace splatalk {
namespace SPLATALK_ISA {

namespace {
constexpr int kPlanes = 3;
const int kFirst[kPlanes] = {0, 1, 0}, kSecond[kPlanes] = {1, 2, 2};
constexpr int64_t kPerTask = 256;

struct Weights { float w[4]; };

inline Weights weights_of(const GridCell& c) {
    return {{(1 - c.fu) * (1 - c.fv), c.fu * (1 - c.fv), (1 - c.fu) * c.fv, c.fu * c.fv}};
}

template <int F>
void forward(const HashTriplane& grid, const float* x, int64_t n, const float* tables, float* out, int threads) {
    const int width = kPlanes * grid.levels * F;
    auto task = [&](int t) {
        const int64_t begin = t * kPerTask, end = begin + kPerTask < n ? begin + kPerTask : n;
        for (int p = 0; p < kPlanes; ++p)
            for (int l = 0; l < grid.levels; ++l) {
                const GridLevel level = grid.level[l];
                const float* table = tables + ((int64_t)p * grid.entries + level.offset) * F;
                float* o = out + begin * width + (p * grid.levels + l) * F;
                for (int64_t i = begin; i < end; ++i, o += width) {
                    const GridCell cell = grid_cell(level, x[3 * i + kFirst[p]], x[3 * i + kSecond[p]]);
                    const Weights weights = weights_of(cell);
                    for (int f = 0; f < F; ++f) {
                        float sum = 0;
                        for (int k = 0; k < 4; ++k) sum += weights.w[k] * table[(int64_t)cell.index[k] * F + f];
                        o[f] = sum;
                    }
                }
            }
    };
    parallel_for((int)((n + kPerTask - 1) / kPerTask), threads, task);
}

// One task owns one level of one plane, so nothing is shared and the order of sums is fixed.
template <int F>
void backward_tables(const HashTriplane& grid, const float* x, int64_t n, const float* d_out, float* d_tables, int threads) {
    const int width = kPlanes * grid.levels * F;
    auto task = [&](int t) {
        const int p = t % kPlanes, l = grid.levels - 1 - t / kPlanes;  // large tables first
        const GridLevel level = grid.level[l];
        float* table = d_tables + ((int64_t)p * grid.entries + level.offset) * F;
        std::memset(table, 0, sizeof(float) * F * (size_t)level.size);
        const float* d = d_out + (p * grid.levels + l) * F;
        for (int64_t i = 0; i < n; ++i, d += width) {
            const GridCell cell = grid_cell(level, x[3 * i + kFirst[p]], x[3 * i + kSecond[p]]);
            const Weights weights = weights_of(cell);
            for (int k = 0; k < 4; ++k)
                for (int f = 0; f < F; ++f) table[(int64_t)cell.index[k] * F + f] += weights.w[k] * d[f];
        }
    };
    parallel_for(kPlanes * grid.levels, threads, task);
}

template <int F>
void backward_positions(const HashTriplane& grid, const float* x, int64_t n, const float* tables, const float* d_out,
                        float* d_x, int threads) {
    const int width = kPlanes * grid.levels * F;
    auto point = [&](int64_t i) {
        float sum[3] = {0, 0, 0};
        for (int p = 0; p < kPlanes; ++p)
            for (int l = 0; l < grid.levels; ++l) {
                const GridLevel level = grid.level[l];
                const GridCell cell = grid_cell(level, x[3 * i + kFirst[p]], x[3 * i + kSecond[p]]);
                const float* table = tables + ((int64_t)p * grid.entries + level.offset) * F;
                const float* d = d_out + i * width + (p * grid.levels + l) * F;
                float du = 0, dv = 0;
                for (int f = 0; f < F; ++f) {
                    float v[4];
                    for (int k = 0; k < 4; ++k) v[k] = table[(int64_t)cell.index[k] * F + f];
                    du += d[f] * ((v[1] - v[0]) * (1 - cell.fv) + (v[3] - v[2]) * cell.fv);
                    dv += d[f] * ((v[2] - v[0]) * (1 - cell.fu) + (v[3] - v[1]) * cell.fu);
                }
                if (cell.inside_u) sum[kFirst[p]] += du * (float)level.resolution;
                if (cell.inside_v) sum[kSecond[p]] += dv * (float)level.resolution;
            }
        for (int c = 0; c < 3; ++c) d_x[3 * i + c] = sum[c];
    };
    auto task = [&](int t) {
        const int64_t begin = t * kPerTask, end = begin + kPerTask < n ? begin + kPerTask : n;
        for (int64_t i = begin; i < end; ++i) point(i);
    };
    parallel_for((int)((n + kPerTask - 1) / kPerTask), threads, task);
}
}  // namespace

#define FOR_FEATURES(call)                 \
    switch (grid.features) {               \
        case 1: return call<1> ARGUMENTS;  \
        case 2: return call<2> ARGUMENTS;  \
        case 4: return call<4> ARGUMENTS;  \
        case 8: return call<8> ARGUMENTS;  \
    }

#define ARGUMENTS (grid, x, n, tables, out, threads)
void hash_forward(const HashTriplane& grid, const float* x, int64_t n, const float* tables, float* out, int threads) {
    FOR_FEATURES(forward)
}
#undef ARGUMENTS
#define ARGUMENTS (grid, x, n, d_out, d_tables, threads)
void hash_backward_tables(const HashTriplane& grid, const float* x, int64_t n, const float* d_out, float* d_tables,
                          int threads) {
    FOR_FEATURES(backward_tables)
}
#undef ARGUMENTS
#define ARGUMENTS (grid, x, n, tables, d_out, d_x, threads)
void hash_backward_positions(const HashTriplane& grid, const float* x, int64_t n, const float* tables,
                             const float* d_out, float* d_x, int threads) {
    FOR_FEATURES(backward_positions)
}
#undef ARGUMENTS

}  // namespace SPLATALK_ISA
}  // namespace splatalk
