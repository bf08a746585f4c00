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

// A number for each pixel of a tile.
typedef float Pixels[kTile][kLanes];

template <class L> SIMD_INLINE L lanes(const float* p) { return load_as(p, (L*)nullptr); }
template <class L> SIMD_INLINE L lanes(float v) { return splat(v, (L*)nullptr); }

// The parts of log2 alpha that do not change from row to row: log2 alpha = constant + dy * (linear + c dy).
template <class L>
struct RowTerms {
    L dx, constant, linear;
    float dy0;  // of the tile's first row
};

template <class L>
SIMD_INLINE RowTerms<L> row_terms(const Screen& g, const Tile& tile, int column) {
    RowTerms<L> t;
    t.dx = lanes<L>(kCentres + column) + ((float)tile.x - g.x);
    t.constant = t.dx * t.dx * g.a + g.log2_opacity;
    t.linear = t.dx * g.b;
    t.dy0 = (float)tile.y + 0.5f - g.y;
    return t;
}

// Which half of the tile's columns holds all of the ellipse: 0 or 8, or -1 when neither does.
inline int only_half(const Screen& g, const Tile& tile) {
    const float centre = g.x - (float)tile.x, left = 8.49f - centre, right = centre - 7.51f;  // 0.01: more than rounding
    const float width = -g.half_height * g.half_height * g.c;  // times -1/a: the squared half width of the ellipse
    if (left > 0 && width < -left * left * g.a) return 0;
    return right > 0 && width < -right * right * g.a ? 8 : -1;
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

struct ForwardTile {
    alignas(64) Pixels T, threshold, red, green, blue;
    uint32_t open_rows;
};

void write_tile(const View& view, const Tile& tile, Background background, const ForwardTile& s, float* image, float* alpha) {
    for (int r = 0; r < tile.rows; ++r) {
        const int64_t pixel = (int64_t)(tile.y + r) * view.width + tile.x;
        const float* behind = background.rgb + (background.plate ? 3 * pixel : 0);
        const int step = background.plate ? 3 : 0;
        float* out = image + 3 * pixel;
        for (int x = 0; x < tile.columns; ++x, behind += step, out += 3) {
            out[0] = s.red[r][x] + s.T[r][x] * behind[0];
            out[1] = s.green[r][x] + s.T[r][x] * behind[1];
            out[2] = s.blue[r][x] + s.T[r][x] * behind[2];
        }
        store_first(alpha + pixel, 1.0f - load(s.T[r]), tile.columns);
    }
}

// Blends one Gaussian into the rows `todo` of the lanes L from `column` on; returns the rows that changed.
template <class L>
SIMD_INLINE uint32_t blend(const Screen& g, const Tile& tile, int column, uint32_t todo, ForwardTile& s) {
    const L zero = lanes<L>(0.0f), stop = lanes<L>(kMinTransmittance), opaque = lanes<L>(kMaxAlpha);
    const RowTerms<L> terms = row_terms<L>(g, tile, column);
    uint32_t changed = 0;
    while (todo) {
        const int r = __builtin_ctz(todo);
        todo &= todo - 1;
        const float dy = terms.dy0 + (float)r;
        const L power = terms.constant + (terms.linear + g.c * dy) * dy;
        const auto hit = at_least(power, lanes<L>(&s.threshold[r][column]));
        changed |= (uint32_t)any(hit) << r;  // no branch: whether a row is hit is hard to predict
        const L before = lanes<L>(&s.T[r][column]), a = keep(hit, smallest(exp2_of(power), opaque));
        L weight = a * before, after = before - weight;
        const auto done = at_most(after, stop);  // a finished pixel stays above: its alpha is 0
        if (__builtin_expect(any(done), 0)) {
            store(&s.threshold[r][column], select(done, lanes<L>(kNever), lanes<L>(&s.threshold[r][column])));
            weight = select(done, zero, weight);
            after = select(done, before, after);
            if (!any(at_most(load(s.threshold[r]), splat(kLog2Min)))) s.open_rows &= ~(1u << r);
        }
        store(&s.red[r][column], lanes<L>(&s.red[r][column]) + weight * g.red);
        store(&s.green[r][column], lanes<L>(&s.green[r][column]) + weight * g.green);
        store(&s.blue[r][column], lanes<L>(&s.blue[r][column]) + weight * g.blue);
        store(&s.T[r][column], after);
    }
    return changed;
}

void forward_tile(const View& view, const Screen* screen, const TileLists& lists, Background background, int index,
                  float* image, float* alpha) {
    const Tile tile = tile_at(view, lists, index);
    ForwardTile s;
    const F16 threshold = starting_threshold(tile);
    std::memset(&s, 0, sizeof s);
    for (int r = 0; r < kTile; ++r) {
        store(s.T[r], splat(1.0f));
        store(s.threshold[r], threshold);
    }
    s.open_rows = 0xffffu >> (kTile - tile.rows);
    uint32_t k = tile.begin;
    for (; k < tile.end && s.open_rows; ++k) {
        prefetch(screen, lists, k, tile.end);
        const Screen& g = screen[lists.ids[k]];
        const uint32_t todo = reachable_rows(g, tile) & s.open_rows;
        const int half = kHasHalves ? only_half(g, tile) : -1;
        lists.rows[k] = (uint16_t)(half < 0 ? blend<F16>(g, tile, 0, todo, s) : blend<F8>(g, tile, half, todo, s));
    }
    for (; k < tile.end; ++k) lists.rows[k] = 0;
    write_tile(view, tile, background, s, image, alpha);
}

// Per-pixel state of the backward walk. It goes front to back like the forward one, recomputing transmittance T;
// `behind` is dL/dpixel . (what the Gaussians not yet passed and the background contribute).
struct BackwardTile {
    alignas(64) Pixels T, threshold, behind;
    alignas(64) Pixels red, green, blue, alpha;  // upstream gradients
};

void read_tile(const View& view, const Tile& tile, const float* image, const float* alpha, const float* d_image,
               const float* d_alpha, BackwardTile& s) {
    const F16 threshold = starting_threshold(tile);
    std::memset(&s, 0, sizeof s);
    for (int r = 0; r < tile.rows; ++r) {
        const int64_t pixel = (int64_t)(tile.y + r) * view.width + tile.x;
        store(s.T[r], splat(1.0f));
        store(s.threshold[r], threshold);
        for (int x = 0; x < tile.columns; ++x) {
            const float *value = image + 3 * (pixel + x), *gradient = d_image + 3 * (pixel + x);
            s.red[r][x] = gradient[0], s.green[r][x] = gradient[1], s.blue[r][x] = gradient[2];
            s.behind[r][x] = value[0] * gradient[0] + value[1] * gradient[1] + value[2] * gradient[2];
            if (!d_alpha) continue;  // alpha is the image of a colour 1 before a background 0
            s.alpha[r][x] = d_alpha[pixel + x];
            s.behind[r][x] += d_alpha[pixel + x] * alpha[pixel + x];
        }
    }
}

template <class L>
SIMD_INLINE void backward_pair(const Screen& g, const Tile& tile, int column, uint32_t todo, BackwardTile& t, float* out) {
    const L zero = lanes<L>(0.0f), opaque = lanes<L>(kMaxAlpha), stop = lanes<L>(kMinTransmittance);
    const RowTerms<L> terms = row_terms<L>(g, tile, column);
    L s = zero, s_dy = zero, s_dydy = zero, red = zero, green = zero, blue = zero;
    while (todo) {
        const int r = __builtin_ctz(todo);
        todo &= todo - 1;
        const float dy = terms.dy0 + (float)r;
        const L power = terms.constant + (terms.linear + g.c * dy) * dy, before = lanes<L>(&t.T[r][column]);
        const auto hit = at_least(power, lanes<L>(&t.threshold[r][column]));
        const L unlimited = keep(hit, exp2_of(power));
        L a = smallest(unlimited, opaque);
        L weight = a * before, after = before - weight;
        const auto done = at_most(after, stop);
        if (__builtin_expect(any(done), 0)) {
            store(&t.threshold[r][column], select(done, lanes<L>(kNever), lanes<L>(&t.threshold[r][column])));
            weight = select(done, zero, weight);
            a = select(done, zero, a);
            after = select(done, before, after);
        }
        const L d_red = lanes<L>(&t.red[r][column]), d_green = lanes<L>(&t.green[r][column]);
        const L d_blue = lanes<L>(&t.blue[r][column]);
        red = red + weight * d_red;
        green = green + weight * d_green;
        blue = blue + weight * d_blue;
        const L color = d_red * g.red + d_green * g.green + d_blue * g.blue + lanes<L>(&t.alpha[r][column]);
        const L behind = lanes<L>(&t.behind[r][column]) - weight * color;
        // dL/dalpha = T color - behind / (1 - alpha); zero where alpha sits at its limit.
        const L slope = before * color - behind * reciprocal(1.0f - a);
        const L step = keep(at_most(unlimited, opaque), a * slope);
        store(&t.behind[r][column], behind);
        store(&t.T[r][column], after);
        const L step_dy = step * dy;
        s = s + step;
        s_dy = s_dy + step_dy;
        s_dydy = s_dydy + step_dy * dy;
    }
    const L s_dx = s * terms.dx;
    const vec4 first = sums_of(s, s_dx, s_dx * terms.dx, s_dy), second = sums_of(s_dy * terms.dx, s_dydy, red, green);
    std::memcpy(out, &first, sizeof first);
    std::memcpy(out + 4, &second, sizeof second);
    out[8] = sum_of(blue);
}

void backward_tile(const View& view, const Screen* screen, const TileLists& lists, const float* image,
                   const float* alpha, const float* d_image, const float* d_alpha, int index, ScreenSums* pair_sums) {
    const Tile tile = tile_at(view, lists, index);
    if (tile.begin == tile.end) return;
    BackwardTile s;
    read_tile(view, tile, image, alpha, d_image, d_alpha, s);
    const int tx = index % lists.tiles_x, ty = index / lists.tiles_x;
    for (uint32_t k = tile.begin; k < tile.end; ++k) {
        prefetch(screen, lists, k, tile.end);
        const Screen& g = screen[lists.ids[k]];
        const uint32_t width = g.tile_x1 - g.tile_x0;
        float* out = (float*)&pair_sums[g.first_pair + (uint32_t)(ty - g.tile_y0) * width + (uint32_t)(tx - g.tile_x0)];
        const int half = kHasHalves ? only_half(g, tile) : -1;
        if (!lists.rows[k])
            std::memset(out, 0, sizeof(ScreenSums));
        else if (half < 0)
            backward_pair<F16>(g, tile, 0, lists.rows[k], s, out);
        else
            backward_pair<F8>(g, tile, half, lists.rows[k], s, out);
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
