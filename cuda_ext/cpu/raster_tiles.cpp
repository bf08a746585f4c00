// Blending of depth-sorted Gaussians, a 16x16 tile at a time, one register per tile row and strip.
#include "kernels.h"
#include "parallel.h"
#include "raster_spans.h"
#include "simd.h"

namespace splatalk {
namespace SPLATALK_ISA {
namespace {

constexpr int kTilesPerTask = 4;
alignas(64) const float kCentres[kLanes] = {0.5f, 1.5f, 2.5f,  3.5f,  4.5f,  5.5f,  6.5f,  7.5f,
                                            8.5f, 9.5f, 10.5f, 11.5f, 12.5f, 13.5f, 14.5f, 15.5f};

alignas(64) const float kRows[kTile] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

SIMD_INLINE Strip strip(const float* p) { return load_as(p, (Strip*)nullptr); }
SIMD_INLINE Strip strip(float v) { return splat(v, (Strip*)nullptr); }

// The parts of log2 alpha that do not change from row to row: log2 alpha = constant + dy * (linear + c dy).
struct RowTerms {
    Strip dx, constant, linear, c, dy0;  // dy0: of the tile's first row
};

SIMD_INLINE RowTerms row_terms(const Screen& g, const Tile& tile, int column) {
    RowTerms t;
    t.dx = strip(kCentres + column) + ((float)tile.x - g.x);
    t.constant = t.dx * t.dx * g.a + g.log2_opacity;
    t.linear = t.dx * g.b;
    t.c = opaque_splat(g.c, (Strip*)nullptr);
    t.dy0 = opaque_splat((float)tile.y + 0.5f - g.y, (Strip*)nullptr);
    return t;
}

// A number for each pixel of a row of a tile.
typedef float Lane[kLanes];

struct ForwardRow {
    Lane T, red, green, blue;  // T: transmittance; of a finished pixel, as of one outside the image, with a minus
};

struct ForwardTile {
    alignas(64) ForwardRow row[kTile];
    uint32_t open_rows[kStrips];  // with a pixel that is not finished
};

// Transmittance before the first Gaussian.
inline F16 clear(const Tile& tile) {
    float row[kLanes];
    for (int i = 0; i < kLanes; ++i) row[i] = i < tile.columns ? 1.0f : -1.0f;
    return load(row);
}

void write_tile(const View& view, const Tile& tile, Background background, const ForwardTile& s, float* image, float* alpha) {
    for (int r = 0; r < tile.rows; ++r) {
        const int64_t pixel = (int64_t)(tile.y + r) * view.width + tile.x;
        const float* behind = background.rgb + (background.plate ? 3 * pixel : 0);
        const int step = background.plate ? 3 : 0;
        float* out = image + 3 * pixel;
        const ForwardRow& row = s.row[r];
        for (int x = 0; x < tile.columns; ++x, behind += step, out += 3) {
            const float T = std::fabs(row.T[x]);
            out[0] = row.red[x] + T * behind[0];
            out[1] = row.green[x] + T * behind[1];
            out[2] = row.blue[x] + T * behind[2];
            alpha[pixel + x] = 1.0f - T;
        }
    }
}

// Blends one Gaussian into the rows `todo` of the strip from `column` on; returns the rows that are finished by it.
SIMD_INLINE uint32_t blend(const Screen& g, const Tile& tile, int column, uint32_t todo, ForwardTile& s) {
    const Strip stop = strip(kMinTransmittance), opaque = strip(kMaxAlpha), faintest = strip(kLog2Min);
    const Strip g_red = strip(g.red), g_green = strip(g.green), g_blue = strip(g.blue);
    const RowTerms terms = row_terms(g, tile, column);
    uint32_t finished = 0;
    while (todo) {
        const int64_t r = __builtin_ctz(todo);
        todo &= todo - 1;
        ForwardRow& row = *(ForwardRow*)((float*)&s.row[r] + column);
        const Strip dy = terms.dy0 + kRows[r], power = terms.constant + (terms.linear + terms.c * dy) * dy;
        const Strip a = keep(at_least(power, faintest), smallest(exp2_of(power), opaque));
        const Strip before = strip(row.T), weight = a * before, after = before - weight;
        const auto open = above(after, stop);
        const Strip T = select(open, after, minus_absolute(before)), drawn = keep(open, weight);
        store(row.T, T);
        store(row.red, strip(row.red) + drawn * g_red);
        store(row.green, strip(row.green) + drawn * g_green);
        store(row.blue, strip(row.blue) + drawn * g_blue);
        if (__builtin_expect(all_negative(T), 0)) finished |= 1u << r;
    }
    return finished;
}

void forward_tile(const View& view, const Screen* screen, const TileLists& lists, Background background, int index,
                  float* image, float* alpha) {
    const Tile tile = tile_at(view, lists, index);
    ForwardTile s;
    Spans spans;
    std::memset(s.row, 0, sizeof s.row);
    for (ForwardRow& row : s.row) store(row.T, clear(tile));
    uint32_t open = 0;
    for (int i = 0; i < kStrips; ++i)
        open |= s.open_rows[i] = i * kStripLanes < tile.columns ? 0xffffu >> (kTile - tile.rows) : 0;
    uint32_t begin = tile.begin;
    for (; begin < tile.end && open; begin += kChunk) {
        find_spans(screen, lists, tile, begin, tile.end - begin < kChunk ? tile.end : begin + kChunk, spans);
        open = 0;
        for (int i = 0; i < kStrips; ++i) {
            const Span* span = spans.span[i];
            for (const Span* last = span + spans.count[i]; span != last && s.open_rows[i]; ++span) {
                const uint32_t todo = span->rows & s.open_rows[i];
                lists.rows[span->pair * kMaxStrips + i] = (uint16_t)todo;
                s.open_rows[i] &= ~blend(*span->gaussian, tile, i * kStripLanes, todo, s);
            }
            open |= s.open_rows[i];
        }
    }
    if (begin < tile.end) std::memset(lists.rows + begin * kMaxStrips, 0, (tile.end - begin) * kMaxStrips * sizeof(uint16_t));
    write_tile(view, tile, background, s, image, alpha);
}

// Per-pixel state of the backward walk. It goes front to back like the forward one, recomputing transmittance T;
// `behind` is dL/dpixel . (what the Gaussians not yet passed and the background contribute).
struct BackwardRow {
    Lane T, behind;
    Lane red, green, blue, alpha;  // upstream gradients
    Lane unused[2];                // rows at powers of two are found by a shift
};

struct BackwardTile {
    alignas(64) BackwardRow row[kTile];
};

void read_tile(const View& view, const Tile& tile, const float* image, const float* alpha, const float* d_image,
               const float* d_alpha, BackwardTile& s) {
    std::memset(&s, 0, sizeof s);
    for (int r = 0; r < tile.rows; ++r) {
        const int64_t pixel = (int64_t)(tile.y + r) * view.width + tile.x;
        BackwardRow& row = s.row[r];
        store(row.T, clear(tile));
        for (int x = 0; x < tile.columns; ++x) {
            const float *value = image + 3 * (pixel + x), *gradient = d_image + 3 * (pixel + x);
            row.red[x] = gradient[0], row.green[x] = gradient[1], row.blue[x] = gradient[2];
            row.behind[x] = value[0] * gradient[0] + value[1] * gradient[1] + value[2] * gradient[2];
            if (!d_alpha) continue;  // alpha is the image of a colour 1 before a background 0
            row.alpha[x] = d_alpha[pixel + x];
            row.behind[x] += d_alpha[pixel + x] * alpha[pixel + x];
        }
    }
}

inline void add_to(float* out, vec4 sums) {
    vec4 old;
    std::memcpy(&old, out, sizeof old);
    sums += old;
    std::memcpy(out, &sums, sizeof sums);
}

// Adds what the rows `todo` of the strip from `column` on contribute to the sums of one Gaussian.
SIMD_INLINE void backward_pair(const Screen& g, const Tile& tile, int column, uint32_t todo, BackwardTile& t, float* out) {
    const Strip opaque = strip(kMaxAlpha), stop = strip(kMinTransmittance), faintest = strip(kLog2Min);
    const Strip g_red = strip(g.red), g_green = strip(g.green), g_blue = strip(g.blue);
    const RowTerms terms = row_terms(g, tile, column);
    Strip s = strip(0.0f), s_dy = s, s_dydy = s, red = s, green = s, blue = s;
    while (todo) {
        const int64_t r = __builtin_ctz(todo);
        todo &= todo - 1;
        BackwardRow& row = *(BackwardRow*)((float*)&t.row[r] + column);
        const Strip dy = terms.dy0 + kRows[r], power = terms.constant + (terms.linear + terms.c * dy) * dy;
        const Strip unlimited = keep(at_least(power, faintest), exp2_of(power)), limited = smallest(unlimited, opaque);
        const Strip apart = reciprocal(1.0f - limited);  // early: it does not have to wait for the pixel
        const Strip before = strip(row.T), after = before - limited * before;
        const auto open = above(after, stop);
        const Strip a = keep(open, limited), weight = a * before;
        const Strip d_red = strip(row.red), d_green = strip(row.green), d_blue = strip(row.blue);
        red = red + weight * d_red;
        green = green + weight * d_green;
        blue = blue + weight * d_blue;
        const Strip color = d_red * g_red + d_green * g_green + d_blue * g_blue + strip(row.alpha);
        const Strip behind = strip(row.behind) - weight * color;
        // dL/dalpha = T color - behind / (1 - alpha); zero where alpha sits at its limit.
        const Strip slope = before * color - behind * apart;
        const Strip step = keep(at_most(unlimited, opaque), a * slope), step_dy = step * dy;
        store(row.behind, behind);
        store(row.T, select(open, after, minus_absolute(before)));
        s = s + step;
        s_dy = s_dy + step_dy;
        s_dydy = s_dydy + step_dy * dy;
    }
    const Strip s_dx = s * terms.dx;
    add_to(out, sums_of(s, s_dx, s_dx * terms.dx, s_dy));
    add_to(out + 4, sums_of(s_dy * terms.dx, s_dydy, red, green));
    out[8] += sum_of(blue);
}

void backward_tile(const View& view, const Screen* screen, const TileLists& lists, const float* image,
                   const float* alpha, const float* d_image, const float* d_alpha, int index, ScreenSums* pair_sums) {
    const Tile tile = tile_at(view, lists, index);
    if (tile.begin == tile.end) return;
    BackwardTile s;
    Spans spans;
    read_tile(view, tile, image, alpha, d_image, d_alpha, s);
    const int tx = index % lists.tiles_x, ty = index / lists.tiles_x;
    auto sums_of_pair = [&](const Screen& g) {
        const uint32_t width = g.tile_x1 - g.tile_x0;
        return (float*)&pair_sums[g.first_pair + (uint32_t)(ty - g.tile_y0) * width + (uint32_t)(tx - g.tile_x0)];
    };
    for (uint32_t begin = tile.begin; begin < tile.end; begin += kChunk) {
        const uint32_t end = tile.end - begin < kChunk ? tile.end : begin + kChunk;
        read_spans(screen, lists, begin, end, spans);
        for (uint32_t k = begin; k < end; ++k) std::memset(sums_of_pair(screen[lists.ids[k]]), 0, sizeof(ScreenSums));
        for (int i = 0; i < kStrips; ++i)
            for (const Span *span = spans.span[i], *last = span + spans.count[i]; span != last; ++span)
                backward_pair(*span->gaussian, tile, i * kStripLanes, span->rows, s, sums_of_pair(*span->gaussian));
    }
}

}  // namespace

void tiles_forward(const View& view, const Screen* screen, const TileLists& lists, Background background, float* image,
                   float* alpha, int threads) {
    const int tiles = lists.tiles_x * lists.tiles_y;
    auto task = [&](int i) {
        for (int t = i * kTilesPerTask; t < tiles && t < (i + 1) * kTilesPerTask; ++t)
            forward_tile(view, screen, lists, background, t, image, alpha);
    };
    parallel_for((tiles + kTilesPerTask - 1) / kTilesPerTask, threads, task);
}

void tiles_backward(const View& view, const Screen* screen, const TileLists& lists, const float* image,
                    const float* alpha, const float* d_image, const float* d_alpha, ScreenSums* pair_sums, int threads) {
    const int tiles = lists.tiles_x * lists.tiles_y;
    auto task = [&](int i) {
        for (int t = i * kTilesPerTask; t < tiles && t < (i + 1) * kTilesPerTask; ++t)
            backward_tile(view, screen, lists, image, alpha, d_image, d_alpha, t, pair_sums);
    };
    parallel_for((tiles + kTilesPerTask - 1) / kTilesPerTask, threads, task);
}

}  // namespace SPLATALK_ISA
}  // namespace splatalk
