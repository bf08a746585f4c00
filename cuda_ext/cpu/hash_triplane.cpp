// Features of points from three planes (xy, yz, xz) of a multi-resolution hash grid, and gradients.
#include <cstring>

#include "kernels.h"
#include "parallel.h"

namespace splatalk {
namespace SPLATALK_ISA {

namespace {
constexpr int kPlanes = 3;
const int kFirst[kPlanes] = {0, 1, 0}, kSecond[kPlanes] = {1, 2, 2};
constexpr int kPerTask = 256, kLevelsPerTask = 2;

// Where a batch of points falls in one level: `grid_cell` for many, in loops that the compiler turns into vectors.
struct Cells {
    uint32_t index[4][kPerTask];
    float weight[4][kPerTask];
};

// Coordinates of a batch, limited to 0..1; NaN counts as 0.
void read_points(const float* x, int n, float coordinate[3][kPerTask]) {
    for (int k = 0; k < n; ++k)
        for (int c = 0; c < 3; ++c) {
            const float v = x[3 * k + c];
            coordinate[c][k] = v > 0 ? (v < 1 ? v : 1.0f) : 0.0f;
        }
}

void cells_of(const GridLevel& level, const float* u, const float* v, int n, Cells& cells) {
    const float R = (float)level.resolution;
    uint32_t i[kPerTask], j[kPerTask];
    float fu[kPerTask], fv[kPerTask];
    auto split = [&](const float* from, uint32_t* cell, float* fraction) {
        for (int k = 0; k < n; ++k) {
            const float at = from[k] * R;
            int32_t whole = (int32_t)at;
            whole -= whole == level.resolution;
            fraction[k] = at - (float)whole;
            cell[k] = (uint32_t)whole;
        }
    };
    split(u, i, fu);
    split(v, j, fv);
    if (level.dense) {
        const uint32_t row = (uint32_t)level.resolution + 1;
        for (int k = 0; k < n; ++k) {
            const uint32_t first = j[k] * row + i[k];
            cells.index[0][k] = first, cells.index[1][k] = first + 1;
            cells.index[2][k] = first + row, cells.index[3][k] = first + row + 1;
        }
    } else {
        const uint32_t mask = (uint32_t)level.size - 1;
        for (int k = 0; k < n; ++k) {
            const uint32_t low = j[k] * 2654435761u, high = low + 2654435761u;
            cells.index[0][k] = (i[k] ^ low) & mask, cells.index[1][k] = ((i[k] + 1) ^ low) & mask;
            cells.index[2][k] = (i[k] ^ high) & mask, cells.index[3][k] = ((i[k] + 1) ^ high) & mask;
        }
    }
    for (int k = 0; k < n; ++k) {
        cells.weight[0][k] = (1 - fu[k]) * (1 - fv[k]), cells.weight[1][k] = fu[k] * (1 - fv[k]);
        cells.weight[2][k] = (1 - fu[k]) * fv[k], cells.weight[3][k] = fu[k] * fv[k];
    }
}

inline int batch(int64_t begin, int64_t n) { return n - begin < kPerTask ? (int)(n - begin) : kPerTask; }

template <int F>
void forward(const HashTriplane& grid, const float* x, int64_t n, const float* tables, float* out, int threads) {
    const int width = kPlanes * grid.levels * F;
    auto task = [&](int t) {
        const int64_t begin = (int64_t)t * kPerTask;
        const int count = batch(begin, n);
        float coordinate[3][kPerTask];
        Cells cells;
        read_points(x + 3 * begin, count, coordinate);
        for (int p = 0; p < kPlanes; ++p)
            for (int l = 0; l < grid.levels; ++l) {
                const GridLevel level = grid.level[l];
                const float* table = tables + ((int64_t)p * grid.entries + level.offset) * F;
                float* o = out + begin * width + (p * grid.levels + l) * F;
                cells_of(level, coordinate[kFirst[p]], coordinate[kSecond[p]], count, cells);
                for (int k = 0; k < count; ++k, o += width) {
                    float sum[F] = {0};
                    for (int corner = 0; corner < 4; ++corner) {
                        const float* entry = table + (int64_t)cells.index[corner][k] * F;
                        for (int f = 0; f < F; ++f) sum[f] += cells.weight[corner][k] * entry[f];
                    }
                    std::memcpy(o, sum, sizeof sum);
                }
            }
    };
    parallel_for((int)((n + kPerTask - 1) / kPerTask), threads, task);
}

// One task owns a few neighbouring levels of one plane, whose gradients share cache lines, so no table is shared and the
// order of sums is fixed.
template <int F>
void backward_tables(const HashTriplane& grid, const float* x, int64_t n, const float* d_out, float* d_tables, int threads) {
    const int width = kPlanes * grid.levels * F, groups = (grid.levels + kLevelsPerTask - 1) / kLevelsPerTask;
    auto task = [&](int t) {
        const int p = t % kPlanes, first = (groups - 1 - t / kPlanes) * kLevelsPerTask;  // large tables first
        const int last = first + kLevelsPerTask < grid.levels ? first + kLevelsPerTask : grid.levels;
        float* tables = d_tables + (int64_t)p * grid.entries * F;
        for (int l = first; l < last; ++l)
            std::memset(tables + (int64_t)grid.level[l].offset * F, 0, sizeof(float) * F * (size_t)grid.level[l].size);
        float coordinate[3][kPerTask];
        Cells cells;
        for (int64_t begin = 0; begin < n; begin += kPerTask) {
            const int count = batch(begin, n);
            read_points(x + 3 * begin, count, coordinate);
            for (int l = first; l < last; ++l) {
                float* table = tables + (int64_t)grid.level[l].offset * F;
                const float* d = d_out + begin * width + (p * grid.levels + l) * F;
                cells_of(grid.level[l], coordinate[kFirst[p]], coordinate[kSecond[p]], count, cells);
                for (int k = 0; k < count; ++k, d += width)
                    for (int corner = 0; corner < 4; ++corner) {
                        float* entry = table + (int64_t)cells.index[corner][k] * F;
                        for (int f = 0; f < F; ++f) entry[f] += cells.weight[corner][k] * d[f];
                    }
            }
        }
    };
    parallel_for(kPlanes * groups, threads, task);
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
        const int64_t begin = (int64_t)t * kPerTask, end = begin + batch(begin, n);
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
