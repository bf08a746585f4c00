// Features of points from three planes (xy, yz, xz) of a multi-resolution hash grid, and gradients, on CUDA.
// Same numbers as cpu/hash_triplane.cpp; the specification is splatalk/kernels/hash_triplane.py.
#pragma once
#include <cstdint>

#include "../common/hash_grid.h"
#include "runtime.h"

namespace splatalk {
namespace cuda {

constexpr int kMaxLevels = 32;

struct HashTriplane {
    int levels, features, entries;  // entries per plane, over all levels
    GridLevel level[kMaxLevels];
};

// Pointers are device memory: x (n, 3), tables (3, entries, F), out and d_out (n, 3 L F). Gradients are written, not added to.
void hash_forward(const HashTriplane&, const float* x, int n, const float* tables, float* out, Stream);
void hash_backward_tables(const HashTriplane&, const float* x, int n, const float* d_out, float* d_tables, Stream);
void hash_backward_positions(const HashTriplane&, const float* x, int n, const float* tables, const float* d_out, float* d_x,
                             Stream);

}  // namespace cuda
}  // namespace splatalk
