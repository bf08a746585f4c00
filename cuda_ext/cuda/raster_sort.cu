// Each tile's pairs from front to back.
//
// A bitonic network (Batcher, "Sorting networks and their applications", 1968) in its form with only ascending
// comparisons, so that places beyond the end count as infinitely far and need no memory. A tile with up to kChunk pairs is
// sorted in shared memory; of longer lists only the steps that reach further than a chunk go through global memory.
// Keys are unique (they end in the pair's number), so the result depends on nothing but the input.
#include "device.h"
#include "raster.h"

namespace splatalk {
namespace cuda {
namespace {

constexpr int kSortThreads = 256, kChunk = 2048;
constexpr uint32_t kOwnGroup = 64;  // keys that one warp alone compares and exchanges

using Key = uint64_t;

// Keys i and partner of comparison q: in blocks of `block` keys, first against last when `flip`, else `stride` apart.
struct Comparison {
    uint32_t i, partner;
};
__device__ __forceinline__ Comparison comparison(uint32_t q, uint32_t stride, bool flip) {
    const uint32_t low = q & (stride - 1), i = (q - low) * 2 + low;
    return {i, flip ? i + 2 * (stride - low) - 1 : i + stride};
}

// One step of the network over n of `size` keys. Keys at n and beyond are infinite.
template <class Keys> __device__ __forceinline__ void step(Keys& keys, uint32_t n, uint32_t size, uint32_t stride, bool flip) {
    for (uint32_t q = threadIdx.x; q < size / 2; q += kSortThreads) {
        const Comparison c = comparison(q, stride, flip);
        if (c.partner >= n) continue;
        const Key a = keys[c.i], b = keys[c.partner];
        if (a > b) keys[c.i] = b, keys[c.partner] = a;
    }
}

// Steps within shared memory from `stride` down to 1; the first one flips when `flip`. Neighbouring threads compare
// neighbouring keys, so short strides stay within a warp.
template <class Keys> __device__ __forceinline__ void steps_down(Keys& keys, uint32_t n, uint32_t size, uint32_t stride, bool flip) {
    for (; stride > 0; stride /= 2, flip = false) {
        step(keys, n, size, stride, flip);
        if (2 * stride > kOwnGroup)
            __syncthreads();
        else
            __syncwarp();
    }
}

template <class Keys> __device__ __forceinline__ void sort_chunk(Keys& keys, uint32_t n, uint32_t size) {
    for (uint32_t block = 2; block <= size; block *= 2) {
        if (block > kOwnGroup) __syncthreads();
        steps_down(keys, n, size, block / 2, true);
    }
}

// Loads a chunk, works on it and stores it.
template <class Shared, class Work>
__device__ __forceinline__ void in_shared(Shared& staged, Key* keys, uint32_t n, Work work) {
    for (uint32_t i = threadIdx.x; i < n; i += kSortThreads) staged[i] = keys[i];
    __syncthreads();
    work();
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < n; i += kSortThreads) keys[i] = staged[i];
    __syncthreads();
}

__device__ __forceinline__ uint32_t power_of_two_from(uint32_t n) { return n <= 1 ? 1 : 1u << (32 - __clz((int)(n - 1))); }

__device__ void sort_keys(Key* keys, uint32_t n) {
    SPLATALK_SHARED(Key, staged, kChunk);
    const uint32_t size = power_of_two_from(n);
    for (uint32_t begin = 0; begin < n; begin += kChunk) {
        const uint32_t own = min(n - begin, (uint32_t)kChunk);
        in_shared(staged, keys + begin, own, [&] { sort_chunk(staged, own, power_of_two_from(own)); });
    }
    for (uint32_t block = 2 * kChunk; block <= size; block *= 2) {
        bool flip = true;
        for (uint32_t stride = block / 2; stride >= kChunk; stride /= 2, flip = false) {
            step(keys, n, size, stride, flip);
            __syncthreads();
        }
        for (uint32_t begin = 0; begin < n; begin += kChunk) {
            const uint32_t own = min(n - begin, (uint32_t)kChunk);
            in_shared(staged, keys + begin, own, [&] { steps_down(staged, own, kChunk, kChunk / 2, false); });
        }
    }
}

// Sorts, then exchanges the depth, which is not needed any more, for the Gaussian.
__global__ __launch_bounds__(kSortThreads) void sort_kernel(RasterState state) {
    const uint32_t begin = state.tile_start[blockIdx.x], n = state.tile_start[blockIdx.x + 1] - begin;
    if (n == 0) return;
    Key* keys = state.lists + begin;
    sort_keys(keys, n);
    for (uint32_t i = threadIdx.x; i < n; i += kSortThreads) {
        const uint32_t pair = (uint32_t)keys[i];
        keys[i] = (Key)state.pair_gaussian[pair] << 32 | pair;
    }
}

}  // namespace

void sort_tiles(const RasterSize& size, const RasterState& state, Stream stream) {
    SPLATALK_LAUNCH(sort_kernel, size.tiles(), kSortThreads, 0, stream, state);
}

}  // namespace cuda
}  // namespace splatalk
