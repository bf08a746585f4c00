// Projection, and the tiles each Gaussian is drawn in.
#include "../common/footprint.h"
#include "device.h"
#include "raster.h"

namespace splatalk {
namespace cuda {
namespace {

constexpr int kWarps = kBlock / kWarp;
constexpr int kScanThreads = 1024;

// The tiles of a block's Gaussians as one list per warp: cell c of a warp is a tile of the Gaussian `owner` of that warp.
// So a Gaussian that covers the picture is shared by 32 threads, and one that covers nothing costs nothing.
struct Cell {
    bool hit;
    int owner, tile;
};

struct WarpGaussian {
    Footprint footprint;
    int first_column, first_row, columns;
};

__device__ __forceinline__ WarpGaussian warp_gaussian(const Screen& g) {
    return {footprint_of(g), g.tile_x0, g.tile_y0, g.tile_x1 - g.tile_x0};
}

__device__ __forceinline__ uint32_t tile_area(const Screen& g) {
    return (uint32_t)(g.tile_x1 - g.tile_x0) * (uint32_t)(g.tile_y1 - g.tile_y0);
}

__device__ __forceinline__ uint32_t inclusive_sum(uint32_t value, int lane) {
    for (int step = 1; step < kWarp; step *= 2) {
        const uint32_t before = __shfl_up_sync(kFullWarp, value, step);
        if (lane >= step) value += before;
    }
    return value;
}

// `ends`, `gaussians`: one entry a lane, ends being the inclusive sums of areas.
template <class Ends, class Gaussians>
__device__ __forceinline__ Cell cell_at(uint32_t cell, uint32_t total, Ends& ends, Gaussians& gaussians, int first,
                                        int tiles_x) {
    if (cell >= total) return {false, 0, 0};
    int owner = 0;
    for (int step = kWarp / 2; step > 0; step /= 2)
        if (ends[first + owner + step - 1] <= cell) owner += step;
    const uint32_t within = cell - (owner > 0 ? ends[first + owner - 1] : 0);
    const WarpGaussian& g = gaussians[first + owner];
    const int row = g.first_row + (int)(within / (uint32_t)g.columns);
    const int column = g.first_column + (int)(within % (uint32_t)g.columns);
    return {reaches_tile(g.footprint, column, row), owner, row * tiles_x + column};
}

// Counts the pairs of each Gaussian of the block and of each tile, and stores the Screens with their pairs numbered
// within the block.
__device__ void count_block(Screen g, int i, int n, int tiles_x, const RasterState& state) {
    SPLATALK_SHARED(WarpGaussian, gaussians, kBlock);
    SPLATALK_SHARED(uint32_t, ends, kBlock);
    SPLATALK_SHARED(uint32_t, counts, kBlock);
    SPLATALK_SHARED(uint32_t, warp_counts, kWarps);
    const int t = threadIdx.x, lane = t % kWarp, warp = t / kWarp, first = warp * kWarp;
    const uint32_t end = inclusive_sum(tile_area(g), lane);
    gaussians[t] = warp_gaussian(g);
    ends[t] = end;
    counts[t] = 0;
    const uint32_t total = __shfl_sync(kFullWarp, end, kWarp - 1);
    __syncwarp();
    for (uint32_t base = 0; base < total; base += kWarp) {
        const Cell cell = cell_at(base + lane, total, ends, gaussians, first, tiles_x);
        if (!cell.hit) continue;
        atomicAdd(&counts[first + cell.owner], 1u);
        atomicAdd(&state.cursor[cell.tile], 1u);
    }
    __syncwarp();
    const uint32_t own = counts[t], sum = inclusive_sum(own, lane);
    if (lane == kWarp - 1) warp_counts[warp] = sum;
    __syncthreads();
    uint32_t before = 0, all = 0;
    for (int w = 0; w < kWarps; ++w) {
        if (w == warp) before = all;
        all += warp_counts[w];
    }
    if (t == 0) state.block_pairs[blockIdx.x] = all;
    if (i >= n) return;
    g.first_pair = before + sum - own;
    g.pairs = own;
    state.screen[i] = g;
}

__global__ __launch_bounds__(kBlock) void project_kernel(View view, GaussianArrays in, int n, int tiles_x, RasterState state,
                                                         float* radii) {
    const int i = blockIdx.x * kBlock + threadIdx.x;
    Screen g = {};
    if (i < n) {
        state.depths[i] = splatalk::project(view, in.means + 3 * i, in.quats + 4 * i, in.scales + 3 * i, in.opacities[i],
                                  in.colors + 3 * i, g);
        radii[i] = g.radius;
    }
    count_block(g, i, n, tiles_x, state);
}

__global__ __launch_bounds__(kBlock) void count_kernel(int n, int tiles_x, RasterState state) {
    const int i = blockIdx.x * kBlock + threadIdx.x;
    Screen g = {};
    if (i < n) g = state.screen[i];
    count_block(g, i, n, tiles_x, state);
}

// Exclusive sums of values[0..n) into sums (which may be values); returns their total to every thread.
__device__ uint64_t scan(const uint32_t* values, uint32_t* sums, int n) {
    SPLATALK_SHARED(uint64_t, warp_sums, kScanThreads / kWarp);
    const int t = threadIdx.x, lane = t % kWarp, warp = t / kWarp;
    uint64_t carry = 0;
    for (int base = 0; base < n; base += kScanThreads) {
        const int i = base + t;
        const uint64_t value = i < n ? values[i] : 0;
        uint64_t sum = value;
        for (int step = 1; step < kWarp; step *= 2) {
            const uint64_t before = __shfl_up_sync(kFullWarp, sum, step);
            if (lane >= step) sum += before;
        }
        if (lane == kWarp - 1) warp_sums[warp] = sum;
        __syncthreads();
        uint64_t before = carry;
        for (int w = 0; w < kScanThreads / kWarp; ++w) {
            if (w < warp) before += warp_sums[w];
            carry += warp_sums[w];
        }
        if (i < n) sums[i] = (uint32_t)(before + sum - value);
        __syncthreads();
    }
    return carry;
}

__global__ __launch_bounds__(kScanThreads) void scan_kernel(int tiles, int blocks, uint32_t capacity, RasterState state,
                                                            uint32_t* most_pairs) {
    const uint64_t total = scan(state.cursor, state.tile_start, tiles);
    scan(state.block_pairs, state.block_pairs, blocks);
    const bool fits = total <= capacity;
    for (int t = threadIdx.x; t < tiles; t += kScanThreads) {
        if (!fits) state.tile_start[t] = 0;
        state.cursor[t] = state.tile_start[t];
    }
    if (threadIdx.x != 0) return;
    const uint32_t needed = total < 0xffffffffull ? (uint32_t)total : 0xffffffffu;
    state.tile_start[tiles] = fits ? needed : 0;
    state.status[0] = needed;
    state.status[1] = !fits;
    if (most_pairs) atomicMax(most_pairs, needed);
}

// Numbers every pair and puts it into its tile's list, in no order yet: depth << 32 | pair.
__global__ __launch_bounds__(kBlock) void scatter_kernel(int n, int tiles_x, RasterState state) {
    SPLATALK_SHARED(WarpGaussian, gaussians, kBlock);
    SPLATALK_SHARED(uint32_t, ends, kBlock);
    SPLATALK_SHARED(float, depths, kBlock);
    if (state.status[1]) return;
    const int t = threadIdx.x, i = blockIdx.x * kBlock + t, lane = t % kWarp, first = t - lane;
    Screen g = {};
    if (i < n) {
        g = state.screen[i];
        g.first_pair += state.block_pairs[blockIdx.x];
        state.screen[i].first_pair = g.first_pair;
    }
    const uint32_t end = inclusive_sum(tile_area(g), lane);
    gaussians[t] = warp_gaussian(g);
    ends[t] = end;
    depths[t] = i < n ? state.depths[i] : 0;
    const uint32_t total = __shfl_sync(kFullWarp, end, kWarp - 1);
    uint32_t next = __shfl_sync(kFullWarp, g.first_pair, 0);  // a warp's pairs follow each other
    __syncwarp();
    for (uint32_t base = 0; base < total; base += kWarp) {
        const Cell cell = cell_at(base + lane, total, ends, gaussians, first, tiles_x);
        const unsigned hits = __ballot_sync(kFullWarp, cell.hit);
        if (cell.hit) {
            const uint32_t pair = next + (uint32_t)__popc(hits & ((1u << lane) - 1));
            const uint32_t place = atomicAdd(&state.cursor[cell.tile], 1u);
            state.lists[place] = (uint64_t)__float_as_uint(depths[first + cell.owner]) << 32 | pair;
            state.pair_gaussian[pair] = (uint32_t)(i - lane + cell.owner);
        }
        next += (uint32_t)__popc(hits);
    }
}

int blocks_for(int n) { return (n + kBlock - 1) / kBlock; }

constexpr size_t kAlign = 256;

template <class T> T* take(size_t& offset, void* memory, size_t count) {
    T* out = (T*)((unsigned char*)memory + offset);
    offset += (count * sizeof(T) + kAlign - 1) / kAlign * kAlign;
    return out;
}

size_t lay_out(const RasterSize& size, void* memory, RasterState& out) {
    const size_t n = (size_t)size.gaussians, tiles = (size_t)size.tiles();
    size_t offset = 0;
    out.screen = take<Screen>(offset, memory, n);
    out.depths = take<float>(offset, memory, n);
    out.tile_start = take<uint32_t>(offset, memory, tiles + 1);
    out.cursor = take<uint32_t>(offset, memory, tiles);
    out.block_pairs = take<uint32_t>(offset, memory, (size_t)blocks_for(size.gaussians) + 1);
    out.status = take<uint32_t>(offset, memory, 2);
    out.lists = take<uint64_t>(offset, memory, size.capacity);
    out.pair_gaussian = take<uint32_t>(offset, memory, size.capacity);
    out.changed = take<uint32_t>(offset, memory, ((size_t)size.capacity / kWarp + tiles + 1) * kWarpsPerTile);
    return offset;
}

}  // namespace

size_t raster_state_bytes(const RasterSize& size) {
    RasterState ignored;
    return lay_out(size, nullptr, ignored);
}

RasterState raster_state_at(void* memory, const RasterSize& size) {
    RasterState state;
    lay_out(size, memory, state);
    return state;
}

void project_and_count(const View& view, const GaussianArrays& gaussians, const RasterSize& size, const RasterState& state,
                       float* radii, Stream stream) {
    set_zero(state.cursor, (size_t)size.tiles() * sizeof(uint32_t), stream);
    if (size.gaussians == 0) return;
    SPLATALK_LAUNCH(project_kernel, blocks_for(size.gaussians), kBlock, 0, stream, view, gaussians, size.gaussians,
                    size.tiles_x(), state, radii);
}

void count_pairs(const RasterSize& size, const RasterState& state, Stream stream) {
    set_zero(state.cursor, (size_t)size.tiles() * sizeof(uint32_t), stream);
    if (size.gaussians == 0) return;
    SPLATALK_LAUNCH(count_kernel, blocks_for(size.gaussians), kBlock, 0, stream, size.gaussians, size.tiles_x(), state);
}

void sort_tiles(const RasterSize& size, const RasterState& state, Stream stream);

void list_pairs(const RasterSize& size, const RasterState& state, uint32_t* most_pairs, Stream stream) {
    const int blocks = blocks_for(size.gaussians);
    SPLATALK_LAUNCH(scan_kernel, 1, kScanThreads, 0, stream, size.tiles(), blocks, size.capacity, state, most_pairs);
    if (size.gaussians == 0) return;
    SPLATALK_LAUNCH(scatter_kernel, blocks, kBlock, 0, stream, size.gaussians, size.tiles_x(), state);
    sort_tiles(size, state, stream);
}

}  // namespace cuda
}  // namespace splatalk
