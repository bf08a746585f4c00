// Blending of depth-sorted Gaussians, a 16x16 tile at a time, one 16-lane register per tile row.
#include "kernels.h"
#include "parallel.h"
#include "simd.h"

namespace splatalk {
namespace SPLATALK_ISA {
namespace {

constexpr float kNever = 3e38f;  // alpha threshold of a finished pixel
constexpr int kTilesPerTask = 4;
alignas(64) const float kCentres[kLanes] = {0.5f, 1.5f, 2.5f,  3.5f,  4.5f,  5.5f,  6.5f,  7.5f,
                                            8.5f, 9.5f, 10.5f, 11.5f, 12.5f, 13.5f, 14.5f, 15.5f};

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

// log2 of the smallest alpha that counts, per lane; out of reach outside the image.
inline F16 starting_threshold(const Tile& tile) {
    float lanes[kLanes];
    for (int i = 0; i < kLanes; ++i) lanes[i] = i < tile.columns ? kLog2Min : kNever;
    return load(lanes);
}

// The parts of log2 alpha that do not change from row to row: log2 alpha = constant + dy * (linear + c dy).
struct RowTerms {
    F16 dx, constant, linear;
    float dy0;  // of the tile's first row
};

SIMD_INLINE RowTerms row_terms(const Screen& g, const Tile& tile, const F16& columns) {
    RowTerms t;
    t.dx = columns - g.x;
    t.constant = t.dx * t.dx * g.a + g.log2_opacity;
    t.linear = t.dx * g.b;
    t.dy0 = (float)tile.y + 0.5f - g.y;
    return t;
}

// Rows of the tile the Gaussian's ellipse can reach, as bits.
inline uint32_t reachable_rows(const Screen& g, const Tile& tile) {
    const float centre = g.y - (float)tile.y - 0.5f;
    const int first = (int)std::ceil(larger(centre - g.half_height, 0.0f));
    const int last = (int)std::floor(smaller(centre + g.half_height, 15.0f));
    if (last < first || last < 0 || first > 15) return 0;
    return (0xffffu << first) & (0xffffu >> (15 - last));
}

inline void prefetch(const Screen* screen, const TileLists& lists, uint32_t k, uint32_t end) {
    if (k + 6 < end) __builtin_prefetch(&screen[lists.ids[k + 6]]);
}

void write_tile(const View& view, const Tile& tile, Background background, const F16* T, const F16* red,
                const F16* green, const F16* blue, float* image, float* alpha) {
    float t[kLanes], rgb[3][kLanes];
    for (int r = 0; r < tile.rows; ++r) {
        const int64_t pixel = (int64_t)(tile.y + r) * view.width + tile.x;
        store(t, T[r]);
        store(rgb[0], red[r]);
        store(rgb[1], green[r]);
        store(rgb[2], blue[r]);
        const float* behind = background.rgb + (background.plate ? 3 * pixel : 0);
        const int step = background.plate ? 3 : 0;
        float* out = image + 3 * pixel;
        for (int x = 0; x < tile.columns; ++x, behind += step, out += 3)
            for (int c = 0; c < 3; ++c) out[c] = rgb[c][x] + t[x] * behind[c];
        store_first(alpha + pixel, 1.0f - T[r], tile.columns);
    }
}

void forward_tile(const View& view, const Screen* screen, const TileLists& lists, Background background, int index,
                  float* image, float* alpha) {
    const Tile tile = tile_at(view, lists, index);
    F16 T[kTile], red[kTile], green[kTile], blue[kTile], threshold[kTile];
    for (int r = 0; r < kTile; ++r) {
        T[r] = splat(1.0f);
        red[r] = green[r] = blue[r] = splat(0.0f);
        threshold[r] = starting_threshold(tile);
    }
    const F16 columns = load(kCentres) + (float)tile.x, minimum = splat(kLog2Min), never = splat(kNever);
    const F16 stop = splat(kMinTransmittance), opaque = splat(kMaxAlpha);
    uint32_t open_rows = 0xffffu >> (kTile - tile.rows), k = tile.begin;
    for (; k < tile.end && open_rows; ++k) {
        prefetch(screen, lists, k, tile.end);
        const Screen& g = screen[lists.ids[k]];
        uint32_t todo = reachable_rows(g, tile) & open_rows, changed = 0;
        const RowTerms terms = row_terms(g, tile, columns);
        while (todo) {
            const int r = __builtin_ctz(todo);
            todo &= todo - 1;
            const float dy = terms.dy0 + (float)r;
            const F16 power = terms.constant + (terms.linear + g.c * dy) * dy;
            const auto hit = at_least(power, threshold[r]);
            if (!any(hit)) continue;
            const F16 a = keep(hit, smallest(exp2_of(power), opaque));
            F16 weight = a * T[r];
            F16 after = T[r] - weight;
            const auto done = at_most(after, stop);  // a finished pixel stays above: its alpha is 0
            if (__builtin_expect(any(done), 0)) {
                threshold[r] = select(done, never, threshold[r]);
                weight = select(done, splat(0.0f), weight);
                after = select(done, T[r], after);
                if (!any(at_most(threshold[r], minimum))) open_rows &= ~(1u << r);
            }
            changed |= 1u << r;
            red[r] = red[r] + weight * g.red;
            green[r] = green[r] + weight * g.green;
            blue[r] = blue[r] + weight * g.blue;
            T[r] = after;
        }
        lists.rows[k] = (uint16_t)changed;
    }
    for (; k < tile.end; ++k) lists.rows[k] = 0;
    write_tile(view, tile, background, T, red, green, blue, image, alpha);
}

// Per-pixel state of the backward walk. It goes front to back like the forward one, recomputing transmittance T;
// `behind` is dL/dpixel . (what the Gaussians not yet passed and the background contribute).
struct BackwardRows {
    F16 T[kTile], threshold[kTile], behind[kTile];
    F16 red[kTile], green[kTile], blue[kTile], alpha[kTile];  // upstream gradients
};

void read_tile(const View& view, const Tile& tile, const float* image, const float* alpha, const float* d_image,
               const float* d_alpha, BackwardRows& rows) {
    for (int r = 0; r < tile.rows; ++r) {
        const int64_t pixel = (int64_t)(tile.y + r) * view.width + tile.x;
        float d[3][kLanes] = {{0}}, behind[kLanes] = {0};
        for (int x = 0; x < tile.columns; ++x) {
            const float* value = image + 3 * (pixel + x);
            const float* gradient = d_image + 3 * (pixel + x);
            for (int c = 0; c < 3; ++c) d[c][x] = gradient[c];
            behind[x] = value[0] * gradient[0] + value[1] * gradient[1] + value[2] * gradient[2];
        }
        rows.T[r] = splat(1.0f);
        rows.threshold[r] = starting_threshold(tile);
        rows.red[r] = load(d[0]);
        rows.green[r] = load(d[1]);
        rows.blue[r] = load(d[2]);
        rows.behind[r] = load(behind);
        rows.alpha[r] = splat(0.0f);
        if (d_alpha) {  // alpha is the image of a colour 1 before a background 0
            rows.alpha[r] = load_first(d_alpha + pixel, tile.columns);
            rows.behind[r] = rows.behind[r] + rows.alpha[r] * load_first(alpha + pixel, tile.columns);
        }
    }
}

SIMD_INLINE void backward_pair(const Screen& g, const Tile& tile, const F16& columns, uint32_t todo, BackwardRows& rows,
                               float* out) {
    const F16 zero = splat(0.0f), opaque = splat(kMaxAlpha), stop = splat(kMinTransmittance), never = splat(kNever);
    const RowTerms terms = row_terms(g, tile, columns);
    F16 s = zero, s_dy = zero, s_dydy = zero, red = zero, green = zero, blue = zero;
    while (todo) {
        const int r = __builtin_ctz(todo);
        todo &= todo - 1;
        const float dy = terms.dy0 + (float)r;
        const F16 power = terms.constant + (terms.linear + g.c * dy) * dy;
        const auto hit = at_least(power, rows.threshold[r]);
        const F16 unlimited = keep(hit, exp2_of(power));
        F16 a = smallest(unlimited, opaque);
        F16 weight = a * rows.T[r];
        F16 after = rows.T[r] - weight;
        const auto done = at_most(after, stop);
        if (__builtin_expect(any(done), 0)) {
            rows.threshold[r] = select(done, never, rows.threshold[r]);
            weight = select(done, zero, weight);
            a = select(done, zero, a);
            after = select(done, rows.T[r], after);
        }
        red = red + weight * rows.red[r];
        green = green + weight * rows.green[r];
        blue = blue + weight * rows.blue[r];
        const F16 color = rows.red[r] * g.red + rows.green[r] * g.green + rows.blue[r] * g.blue + rows.alpha[r];
        const F16 behind = rows.behind[r] - weight * color;
        // dL/dalpha = T color - behind / (1 - alpha); zero where alpha sits at its limit.
        const F16 slope = rows.T[r] * color - behind * reciprocal(1.0f - a);
        const F16 step = keep(at_most(unlimited, opaque), a * slope);
        rows.behind[r] = behind;
        rows.T[r] = after;
        const F16 step_dy = step * dy;
        s = s + step;
        s_dy = s_dy + step_dy;
        s_dydy = s_dydy + step_dy * dy;
    }
    const F16 s_dx = s * terms.dx;
    const vec4 first = sums_of(s, s_dx, s_dx * terms.dx, s_dy), second = sums_of(s_dy * terms.dx, s_dydy, red, green);
    std::memcpy(out, &first, sizeof first);
    std::memcpy(out + 4, &second, sizeof second);
    out[8] = sum_of(blue);
}

void backward_tile(const View& view, const Screen* screen, const TileLists& lists, const float* image,
                   const float* alpha, const float* d_image, const float* d_alpha, int index, ScreenSums* pair_sums) {
    const Tile tile = tile_at(view, lists, index);
    if (tile.begin == tile.end) return;
    BackwardRows rows;
    read_tile(view, tile, image, alpha, d_image, d_alpha, rows);
    const F16 columns = load(kCentres) + (float)tile.x;
    const int tx = index % lists.tiles_x, ty = index / lists.tiles_x;
    for (uint32_t k = tile.begin; k < tile.end; ++k) {
        prefetch(screen, lists, k, tile.end);
        const Screen& g = screen[lists.ids[k]];
        const uint32_t width = g.tile_x1 - g.tile_x0;
        float* out = (float*)&pair_sums[g.first_pair + (uint32_t)(ty - g.tile_y0) * width + (uint32_t)(tx - g.tile_x0)];
        if (lists.rows[k])
            backward_pair(g, tile, columns, lists.rows[k], rows, out);
        else
            std::memset(out, 0, sizeof(ScreenSums));
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
