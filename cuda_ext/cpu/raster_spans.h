// Which rows of a tile each Gaussian of its list reaches, found for many at a time. A tile is worked on in strips of
// columns, one register wide; a strip sees only the Gaussians that reach it, and those only in the rows they reach.
#pragma once
#include "../common/gaussian.h"
#include "kernels.h"
#include "simd.h"

namespace splatalk {
namespace SPLATALK_ISA {
namespace {

constexpr int kStrips = kTile / kStripLanes;
static_assert(kStrips <= kMaxStrips, "TileLists::rows has room for kMaxStrips strips");
constexpr uint32_t kChunk = 128;  // pairs that are prepared at a time

struct Tile {
    int index, x, y;       // x, y: first pixel
    int columns, rows;     // inside the image
    uint32_t begin, end;   // pairs
};

inline Tile tile_at(const View& view, const TileLists& lists, int index) {
    Tile t;
    t.index = index;
    t.x = index % lists.tiles_x * kTile;
    t.y = index / lists.tiles_x * kTile;
    t.columns = view.width - t.x < kTile ? view.width - t.x : kTile;
    t.rows = view.height - t.y < kTile ? view.height - t.y : kTile;
    t.begin = lists.tile_start[index];
    t.end = lists.tile_start[index + 1];
    return t;
}

// The pairs of a chunk that reach a strip, front to back.
struct Span {
    const Screen* gaussian;
    uint32_t pair, rows;  // rows: bit r, row r of the tile
};
struct Spans {
    Span span[kStrips][kChunk + 1];  // one more, because an entry is written before it is known to count
    int count[kStrips];
};

inline void add(Spans& spans, int strip, const Screen* gaussian, uint32_t pair, uint32_t rows) {
    spans.span[strip][spans.count[strip]] = {gaussian, pair, rows};
    spans.count[strip] += rows != 0;  // no branch: it would be hard to predict
}

SIMD_INLINE F16 at_least_zero(const F16& a) { return select(at_least(a, splat(0.0f)), a, splat(0.0f)); }
SIMD_INLINE F16 larger_of(const F16& a, const F16& b) { return select(at_least(a, b), a, b); }

// Ellipses relative to a tile, for sixteen Gaussians; after footprint.h, with rows and columns changed over.
struct Ellipses {
    alignas(64) float x[kChunk], y[kChunk], a[kChunk], b[kChunk], c[kChunk], log2_opacity[kChunk], half_height[kChunk];
};

// first (inclusive) and last (exclusive) row, 0..16, that each of sixteen ellipses reaches between the pixel centres of
// the columns left..right. Rather too many than too few; all of them where numbers overflow.
SIMD_INLINE void reached_rows(const Ellipses& e, uint32_t at, float left, float right, float* first, float* last) {
    const F16 zero = splat(0.0f), x = load(e.x + at), y = load(e.y + at) - 0.5f, half_height = load(e.half_height + at);
    const F16 a = load(e.a + at), b = load(e.b + at), c = load(e.c + at);
    const F16 slope = b / (c * -2.0f), half_width = half_height * root_of(c / a);
    const F16 half_column = root_of((kLog2Min - load(e.log2_opacity + at)) / c);
    const F16 lean = half_height * (b / (a * -2.0f));  // where the lowest point is; the highest is at -lean
    const F16 from = larger_of(left - x, zero - half_width), to = smallest(right - x, half_width);
    const auto missed = above(from, to + (0.02f + 1e-3f * half_width));
    auto edge = [&](const F16& at_x) {
        const F16 t = at_x / half_width;
        return half_column * root_of(at_least_zero(1.0f - t * t));
    };
    const F16 low_x = smallest(larger_of(lean, from), to), high_x = smallest(larger_of(zero - lean, from), to);
    const F16 slack = 0.02f + 2e-3f * half_column;  // covers rounding here and in the evaluation of alpha
    const F16 top = y + (slope * high_x - edge(high_x)) - slack, bottom = y + (slope * low_x + edge(low_x)) + slack;
    const F16 limit = splat(16.0f), first_row = smallest(at_least_zero(top + 0.9999f), limit), end = bottom + 1.0f;
    store(first, select(missed, limit, first_row));
    store(last, select(missed, zero, at_least_zero(select(at_most(end, limit), end, limit))));
}

// Gaussians lie in no order, so that the processor cannot foresee which comes next.
inline void prefetch(const Screen* screen, const TileLists& lists, uint32_t begin, uint32_t end) {
    for (uint32_t k = begin; k < end; ++k) __builtin_prefetch(&screen[lists.ids[k]]);
}

// Pairs begin..end of a tile as spans of its strips.
void find_spans(const Screen* screen, const TileLists& lists, const Tile& tile, uint32_t begin, uint32_t end, Spans& spans) {
    Ellipses e;
    prefetch(screen, lists, begin, end);
    const uint32_t count = end - begin;
    for (uint32_t i = 0; i < count; ++i) {
        const Screen& g = screen[lists.ids[begin + i]];
        e.x[i] = g.x - (float)tile.x, e.y[i] = g.y - (float)tile.y;
        e.a[i] = g.a, e.b[i] = g.b, e.c[i] = g.c;
        e.log2_opacity[i] = g.log2_opacity, e.half_height[i] = g.half_height;
    }
    for (int s = 0; s < kStrips; ++s) {
        alignas(64) float first[kChunk], last[kChunk];
        const float left = (float)(s * kStripLanes) + 0.5f;
        for (uint32_t i = 0; i < count; i += kLanes) reached_rows(e, i, left, left + (kStripLanes - 1), first + i, last + i);
        spans.count[s] = 0;
        for (uint32_t i = 0; i < count; ++i) {
            const uint32_t rows = ((1u << (int)last[i]) - 1) & (0xffffffffu << (int)first[i]);
            lists.rows[(begin + i) * kMaxStrips + s] = 0;
            add(spans, s, &screen[lists.ids[begin + i]], begin + i, rows);
        }
    }
}

// The spans in which a forward pass drew something.
void read_spans(const Screen* screen, const TileLists& lists, uint32_t begin, uint32_t end, Spans& spans) {
    prefetch(screen, lists, begin, end);
    for (int s = 0; s < kStrips; ++s) {
        spans.count[s] = 0;
        for (uint32_t k = begin; k < end; ++k) add(spans, s, &screen[lists.ids[k]], k, lists.rows[k * kMaxStrips + s]);
    }
}

}  // namespace
}  // namespace SPLATALK_ISA
}  // namespace splatalk
