// One lookup in a 2D grid level: dense while its vertices fit into the table, otherwise the spatial hash of
// Müller et al., "Instant Neural Graphics Primitives", 2022, equation 4 (primes 1 and 2654435761).
#pragma once
#include <cstdint>

#include "gaussian.h"

namespace splatalk {

struct GridLevel {
    int32_t resolution;  // cells along a side
    int32_t size;        // entries; a power of two when hashed
    int32_t offset;      // first entry within its plane
    int32_t dense;       // 1: row-major vertices, 0: hashed
};

struct GridCell {
    uint32_t index[4];  // vertices (0,0) (1,0) (0,1) (1,1), first coordinate first
    float fu, fv;       // position within the cell, 0..1
    bool inside_u, inside_v;  // false where a coordinate was clamped to 0..1: no gradient there
};

// NaN counts as 0.
SPLATALK_FN GridCell grid_cell(const GridLevel& level, float u, float v) {
    GridCell cell;
    const float R = (float)level.resolution;
    const float a = u > 0 ? (u < 1 ? u * R : R) : 0, b = v > 0 ? (v < 1 ? v * R : R) : 0;
    cell.inside_u = u >= 0 && u <= 1;
    cell.inside_v = v >= 0 && v <= 1;
    int i = (int)a, j = (int)b;
    i -= i == level.resolution;
    j -= j == level.resolution;
    cell.fu = a - (float)i;
    cell.fv = b - (float)j;
    if (level.dense) {
        const uint32_t row = (uint32_t)level.resolution + 1, first = (uint32_t)j * row + (uint32_t)i;
        cell.index[0] = first, cell.index[1] = first + 1, cell.index[2] = first + row, cell.index[3] = first + row + 1;
    } else {
        const uint32_t mask = (uint32_t)level.size - 1, x = (uint32_t)i;
        const uint32_t h0 = (uint32_t)j * 2654435761u, h1 = h0 + 2654435761u;
        cell.index[0] = (x ^ h0) & mask, cell.index[1] = ((x + 1) ^ h0) & mask;
        cell.index[2] = (x ^ h1) & mask, cell.index[3] = ((x + 1) ^ h1) & mask;
    }
    return cell;
}

}  // namespace splatalk
