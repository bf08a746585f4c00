// Products of small matrices on blocks that stay in the first cache, sixteen columns at a time, and reordering of them.
#pragma once
#include "simd.h"

namespace splatalk {
namespace SPLATALK_ISA {
namespace {

// c(m, n) = start + sum over k < depth of a[m * a_row + k * a_step] * b[k * b_row + n], where start is bias[m], or
// c(m, n) where add, or 0.
struct Product {
    int rows, columns, depth;  // columns: a multiple of 16
    const float* a;
    int a_row, a_step;
    const float* b;
    int b_row;
    float* c;
    int c_row;
    const float* bias;
    bool add;
};

// Accumulators of a tile: as many as fit beside one row of b and one number of a.
#if defined(__AVX512F__)
constexpr int kTileRows = 8, kTileWide = 2;
#elif defined(__AVX__)
constexpr int kTileRows = 6, kTileWide = 1;
#elif defined(__aarch64__)
constexpr int kTileRows = 6, kTileWide = 1;
#else
constexpr int kTileRows = 3, kTileWide = 1;
#endif

template <int R, int V>
inline void product_tile(const Product& p, int m, int n) {
    // Copies, because the compiler must assume that a store to c changes what p refers to.
    const int a_row = p.a_row, a_step = p.a_step, b_row = p.b_row, c_row = p.c_row, depth = p.depth;
    const float *a = p.a + m * a_row, *b = p.b + n;
    float* c = p.c + m * c_row + n;
    F16 sum[R][V];
    if (p.add) {
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) sum[r][v] = load(c + r * c_row + kLanes * v);
    } else {
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) sum[r][v] = splat(p.bias ? p.bias[m + r] : 0.0f);
    }
    for (int k = 0; k < depth; ++k, a += a_step, b += b_row) {
        F16 x[V];
        for (int v = 0; v < V; ++v) x[v] = load(b + kLanes * v);
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) sum[r][v] = sum[r][v] + x[v] * a[r * a_row];
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) store(c + r * c_row + kLanes * v, sum[r][v]);
}

template <int R>
inline void product_rows(const Product& p, int m) {
    int n = 0;
    for (; n + kLanes * kTileWide <= p.columns; n += kLanes * kTileWide) product_tile<R, kTileWide>(p, m, n);
    for (; n < p.columns; n += kLanes) product_tile<R, 1>(p, m, n);
}

// The last `rows` < R rows.
template <int R>
inline void product_rest(const Product& p, int m, int rows) {
    if (rows == R) product_rows<R>(p, m);
    else product_rest<R - 1>(p, m, rows);
}
template <>
inline void product_rest<0>(const Product&, int, int) {}

void multiply(const Product& p) {
    int m = 0;
    for (; m + kTileRows <= p.rows; m += kTileRows) product_rows<kTileRows>(p, m);
    product_rest<kTileRows - 1>(p, m, p.rows - m);
}

// to[column][row] = from[row][column], four by four. Both sides must have room for rows and columns rounded up to 4.
void transpose(const float* from, int from_row, int rows, int columns, float* to, int to_row) {
    typedef vec4 v;
    for (int r = 0; r < rows; r += 4)
        for (int c = 0; c < columns; c += 4) {
            v a, b, x, y;
            const float* f = from + r * from_row + c;
            float* t = to + c * to_row + r;
            std::memcpy(&a, f, sizeof a);
            std::memcpy(&b, f + from_row, sizeof b);
            std::memcpy(&x, f + 2 * from_row, sizeof x);
            std::memcpy(&y, f + 3 * from_row, sizeof y);
            const v ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
            const v xy_low = __builtin_shufflevector(x, y, 0, 4, 1, 5), xy_high = __builtin_shufflevector(x, y, 2, 6, 3, 7);
            a = __builtin_shufflevector(ab_low, xy_low, 0, 1, 4, 5);
            b = __builtin_shufflevector(ab_low, xy_low, 2, 3, 6, 7);
            x = __builtin_shufflevector(ab_high, xy_high, 0, 1, 4, 5);
            y = __builtin_shufflevector(ab_high, xy_high, 2, 3, 6, 7);
            std::memcpy(t, &a, sizeof a);
            std::memcpy(t + to_row, &b, sizeof b);
            std::memcpy(t + 2 * to_row, &x, sizeof x);
            std::memcpy(t + 3 * to_row, &y, sizeof y);
        }
}

}  // namespace
}  // namespace SPLATALK_ISA
}  // namespace splatalk
