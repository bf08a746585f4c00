// Small kernels that check the host shim itself; run by test_host_shim.py as a program: shim_kernels CASE [ORDER].
// Prints "ok", or the shim's message.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "device.h"

using namespace splatalk;

namespace {

void expect(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(std::string("wrong: ") + what);
}

__global__ void reverse_in_block(int* x) {
    SPLATALK_SHARED(int, staged, 96);
    const int i = threadIdx.x + blockDim.x * threadIdx.y, n = blockDim.x * blockDim.y;
    x += blockIdx.x * n;
    staged[i] = x[i];
    __syncthreads();
    x[i] = staged[n - 1 - i];
}

void barrier() {
    std::vector<int> x(3 * 96);
    for (int i = 0; i < 3 * 96; ++i) x[i] = i;
    SPLATALK_LAUNCH(reverse_in_block, 3, dim3(48, 2), 0, nullptr, x.data());
    for (int i = 0; i < 3 * 96; ++i) expect(x[i] == i / 96 * 96 + 95 - i % 96, "block reversed");
}

// Without the barrier the outcome depends on whose turn it is.
__global__ void race(int* x) {
    SPLATALK_SHARED(int, staged, 64);
    staged[threadIdx.x] = (int)threadIdx.x;
    x[threadIdx.x] = staged[63 - threadIdx.x];
}

void missing_barrier() {
    std::vector<int> x(64);
    SPLATALK_LAUNCH(race, 1, 64, 0, nullptr, x.data());
    for (int i = 0; i < 64; ++i) expect(x[i] == 63 - i, "a race");
}

__global__ void warp_sums(const float* x, float* shuffled, unsigned* votes) {
    const int i = threadIdx.x, lane = i % 32;
    float sum = x[i];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(kFullWarp, sum, step);
    float prefix = x[i];
    for (int step = 1; step < 32; step *= 2) {
        const float before = __shfl_up_sync(kFullWarp, prefix, step);
        if (lane >= step) prefix += before;
    }
    const float from_five = __shfl_sync(kFullWarp, x[i], 5), next = __shfl_down_sync(kFullWarp, x[i], 1);
    const int in_eights = __shfl_sync(kFullWarp, lane, 3, 8);
    shuffled[5 * i] = sum, shuffled[5 * i + 1] = prefix, shuffled[5 * i + 2] = from_five, shuffled[5 * i + 3] = next;
    shuffled[5 * i + 4] = (float)in_eights;
    votes[4 * i] = __ballot_sync(kFullWarp, lane % 3 == 0);
    votes[4 * i + 1] = __any_sync(kFullWarp, lane == 40) * 2 + __all_sync(kFullWarp, lane < 32);
    votes[4 * i + 2] = __reduce_add_sync(kFullWarp, (unsigned)lane);
    votes[4 * i + 3] = __match_any_sync(kFullWarp, lane / 8);
}

void warps() {
    std::vector<float> x(64), out(5 * 64);
    std::vector<unsigned> votes(4 * 64);
    for (int i = 0; i < 64; ++i) x[i] = (float)(i * i % 17);
    SPLATALK_LAUNCH(warp_sums, 1, 64, 0, nullptr, x.data(), out.data(), votes.data());
    for (int i = 0; i < 64; ++i) {
        const int first = i / 32 * 32, lane = i % 32;
        float sum = 0, prefix = 0;
        for (int j = 0; j < 32; ++j) sum += x[first + j], prefix += j <= lane ? x[first + j] : 0;
        expect(out[5 * i] == sum && out[5 * i + 1] == prefix, "sums");
        expect(out[5 * i + 2] == x[first + 5] && out[5 * i + 3] == x[lane == 31 ? i : i + 1], "shuffles");
        expect(out[5 * i + 4] == (float)(lane / 8 * 8 + 3), "groups of eight");
        expect(votes[4 * i] == 0x49249249u && votes[4 * i + 1] == 1 && votes[4 * i + 2] == 496, "votes");
        expect(votes[4 * i + 3] == 0xffu << (lane / 8 * 8), "match");
    }
}

// Two halves of a warp exchange separately, and a lane that has returned is not waited for.
__global__ void halves(int* x) {
    const int lane = threadIdx.x;
    if (lane == 31) return;
    const unsigned mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
    int sum = 0;
    if (lane < 16)
        sum = __reduce_add_sync(mask, lane);
    else
        sum = __reduce_add_sync(mask, lane);
    x[lane] = sum;
}

void partial_warps() {
    std::vector<int> x(32, -1);
    SPLATALK_LAUNCH(halves, 1, 32, 0, nullptr, x.data());
    for (int i = 0; i < 31; ++i) expect(x[i] == (i < 16 ? 120 : 345), "halves");
    expect(x[31] == -1, "returned lane");
}

__global__ void count(int* bins, float* sum, unsigned long long* largest, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    atomicAdd(&bins[i % 7], 1);
    atomicAdd(sum, 0.5f);
    atomicMax(largest, (unsigned long long)i << 33);
}

void atomics() {
    std::vector<int> bins(7);
    float sum = 0;
    unsigned long long largest = 0;
    SPLATALK_LAUNCH(count, 4, 64, 0, nullptr, bins.data(), &sum, &largest, 250);
    for (int i = 0; i < 7; ++i) expect(bins[i] == (250 + 6 - i) / 7, "bins");
    expect(sum == 125 && largest == 249ull << 33, "sum and maximum");
}

__global__ void dynamic_sum(const int* x, int* out) {
    SPLATALK_DYNAMIC_SHARED(int, staged);
    staged[threadIdx.x] = x[threadIdx.x];
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) staged[threadIdx.x] += staged[threadIdx.x + half];
    }
    if (threadIdx.x == 0) *out = staged[0];
}

void dynamic_memory() {
    std::vector<int> x(128, 3);
    int out = 0;
    SPLATALK_LAUNCH(dynamic_sum, 1, 128, 128 * sizeof(int), nullptr, x.data(), &out);
    expect(out == 384, "sum");
    SPLATALK_LAUNCH(dynamic_sum, 1, 128, 100 * sizeof(int), nullptr, x.data(), &out);  // too little
}

__global__ void leaves_early(int n) {
    if ((int)threadIdx.x >= n) return;
    __syncthreads();
}
void early_return() { SPLATALK_LAUNCH(leaves_early, 1, 40, 0, nullptr, 33); }

__global__ void two_barriers(int n) {
    if ((int)threadIdx.x < n)
        __syncthreads();
    else
        __syncthreads();
}
void barrier_mismatch() { SPLATALK_LAUNCH(two_barriers, 1, 64, 0, nullptr, 16); }

__global__ void divergent_shuffle(int* x) {
    if (threadIdx.x % 2) x[threadIdx.x] = __shfl_sync(kFullWarp, 1, 0);
}
void shuffle_mismatch() {
    int x[32];
    SPLATALK_LAUNCH(divergent_shuffle, 1, 32, 0, nullptr, x);
}

__global__ void branching_shuffle(int* x) {
    if (threadIdx.x % 2)
        x[threadIdx.x] = __shfl_sync(kFullWarp, 1, 0);
    else
        x[threadIdx.x] = __shfl_sync(kFullWarp, 2, 0);
}
void warp_mismatch() {
    int x[32];
    SPLATALK_LAUNCH(branching_shuffle, 1, 32, 0, nullptr, x);
}

__global__ void beyond(int i) {
    SPLATALK_SHARED(float, row, 32);
    row[threadIdx.x + i] = 0;
}
void out_of_range() { SPLATALK_LAUNCH(beyond, 2, 32, 0, nullptr, 1); }

__global__ void reads_unwritten(float* out) {
    SPLATALK_SHARED(float, row, 4);
    *out = row[2];
    __syncthreads();
    row[2] = 1;
}
void unwritten() {
    float out[2] = {0, 0};
    for (float& value : out) SPLATALK_LAUNCH(reads_unwritten, 1, 1, 0, nullptr, &value);
    expect(std::isnan(out[0]) && std::isnan(out[1]), "shared memory starts unwritten");
}

__device__ void deeper(int depth, volatile int* sink) {
    volatile char room[4096];
    for (int i = 0; i < 4096; ++i) room[i] = (char)depth;
    if (depth > 0) deeper(depth - 1, sink);
    *sink += room[0];
}
__global__ void recursive(int depth, volatile int* sink) {
    deeper(depth, sink);
    __syncthreads();
}
void deep_stack() {
    volatile int sink = 0;
    SPLATALK_LAUNCH(recursive, 1, 2, 0, nullptr, 20, &sink);
}

struct Case {
    const char* name;
    void (*run)();
};
const Case kCases[] = {
    {"barrier", barrier}, {"missing_barrier", missing_barrier}, {"warps", warps}, {"partial_warps", partial_warps},
    {"atomics", atomics}, {"dynamic_memory", dynamic_memory}, {"early_return", early_return},
    {"barrier_mismatch", barrier_mismatch}, {"shuffle_mismatch", shuffle_mismatch},
    {"warp_mismatch", warp_mismatch}, {"out_of_range", out_of_range},
    {"unwritten", unwritten}, {"deep_stack", deep_stack},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 2) shim::set_order((unsigned)std::atoi(argv[2]));
    for (const Case& c : kCases) {
        if (argc < 2 || std::string(c.name) != argv[1]) continue;
        try {
            c.run();
            std::puts("ok");
        } catch (const std::exception& error) {
            std::puts(error.what());
        }
        return 0;
    }
    return 2;
}
