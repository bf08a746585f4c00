// CUDA kernels on the CPU: the project's way to test them where there is no GPU.
//
// A .cu file that includes device.h compiles as plain C++ through this header. A launch runs block after block in the
// calling thread; the threads of a block are fibers, each with a stack of its own, that take turns:
//
//   * a fiber runs until it reaches __syncthreads, a warp operation or its end, then the next one runs;
//   * __syncthreads releases a block once every thread of it waits at the same source line;
//   * a warp operation (__shfl_*_sync, __ballot_sync, __syncwarp ...) releases its lanes once all lanes of its mask that
//     have not returned wait at the same source line with the same mask;
//   * when nobody can run any more although threads are left, the launch throws `Fault`, saying who waits where. So a
//     thread that returns before a barrier, barriers in two branches, a wrong mask: each is a message and not a hang.
//
// More is checked than a GPU would: indices into shared memory; shuffles that read a lane that takes no part; the size
// of blocks and of shared memory; the depth of the stack. Shared memory holds 0xff bytes (NaN, -1) when a block starts, so
// what was never written is seen. `set_order` changes in which order threads and blocks take their turns: results that
// depend on it reveal a missing barrier or a race.
//
// What it does not show: speed, races within one turn, memory ordering, register limits, the last bits of approximate
// functions. Kernels must not wait for other blocks: that would never end. __activemask() is the calling lane alone, the
// least that CUDA promises. Launches from several threads of the process wait for each other.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>

#include "host_types.h"
#include "runtime.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __syncthreads() splatalk::shim::sync_threads(__FILE__, __LINE__)
#define SPLATALK_SITE splatalk::shim::Site{__FILE__, __LINE__}
#define __syncwarp(...) splatalk::shim::WarpBarrier{SPLATALK_SITE}(__VA_ARGS__)
#define __ballot_sync(mask, predicate) splatalk::shim::ballot(SPLATALK_SITE, mask, predicate)
#define __any_sync(mask, predicate) splatalk::shim::any(SPLATALK_SITE, mask, predicate)
#define __all_sync(mask, predicate) splatalk::shim::all(SPLATALK_SITE, mask, predicate)
#define __shfl_sync(mask, ...) splatalk::shim::shuffle(SPLATALK_SITE, mask, __VA_ARGS__)
#define __shfl_up_sync(mask, ...) splatalk::shim::shuffle_up(SPLATALK_SITE, mask, __VA_ARGS__)
#define __shfl_down_sync(mask, ...) splatalk::shim::shuffle_down(SPLATALK_SITE, mask, __VA_ARGS__)
#define __shfl_xor_sync(mask, ...) splatalk::shim::shuffle_xor(SPLATALK_SITE, mask, __VA_ARGS__)
#define __match_any_sync(mask, value) splatalk::shim::match_any(SPLATALK_SITE, mask, value)
#define __reduce_add_sync(mask, value) splatalk::shim::reduce(SPLATALK_SITE, mask, value, splatalk::shim::Add())
#define __reduce_min_sync(mask, value) splatalk::shim::reduce(SPLATALK_SITE, mask, value, splatalk::shim::Min())
#define __reduce_max_sync(mask, value) splatalk::shim::reduce(SPLATALK_SITE, mask, value, splatalk::shim::Max())
#define __reduce_or_sync(mask, value) splatalk::shim::reduce(SPLATALK_SITE, mask, value, splatalk::shim::Or())
#define __activemask() splatalk::shim::active_mask()

#define threadIdx (splatalk::shim::now.thread)
#define blockIdx (splatalk::shim::now.block)
#define blockDim (splatalk::shim::now.block_size)
#define gridDim (splatalk::shim::now.grid_size)
#define warpSize 32

namespace splatalk {
namespace shim {

// An error in a kernel, or in how it was launched. The message names the kernel, the block and the threads.
struct Fault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Now {
    uint3 thread, block;
    dim3 block_size, grid_size;
};
extern Now now;  // of the fiber that runs

struct Site {
    const char* file;
    int line;
};

// 0: ascending (default), 1: descending, otherwise the seed of a random order.
void set_order(unsigned order);

// Never returns to the kernel.
[[noreturn]] void fail(const std::string& message);

void sync_threads(const char* file, int line);

// --- Warp operations: every lane deposits a value and reads what the others deposited.
struct Exchange {
    const uint64_t* values;  // of all lanes
    unsigned lanes;          // that take part
    unsigned lane;           // the caller
};
Exchange exchange(Site site, const char* operation, unsigned mask, uint64_t value);
unsigned active_mask();

template <class T> uint64_t to_bits(T value) {
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= 8, "shuffles move up to 8 bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    return bits;
}
template <class T> T from_bits(uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

struct WarpBarrier {
    Site site;
    void operator()(unsigned mask = 0xffffffffu) const { exchange(site, "__syncwarp", mask, 0); }
};

inline unsigned ballot(Site site, unsigned mask, int predicate) {
    const Exchange all = exchange(site, "__ballot_sync", mask, predicate != 0);
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
        if (all.lanes >> lane & 1) bits |= (unsigned)all.values[lane] << lane;
    return bits;
}
inline int any(Site site, unsigned mask, int predicate) { return ballot(site, mask, predicate) != 0; }
inline int all(Site site, unsigned mask, int predicate) { return ballot(site, mask, !predicate) == 0; }

template <class T> T read_lane(const Exchange& all, const char* operation, unsigned source) {
    if (!(all.lanes >> source & 1))
        fail(std::string(operation) + " reads lane " + std::to_string(source) + ", which takes no part");
    return from_bits<T>(all.values[source]);
}

// `width` is a power of two; a source outside the caller's group of `width` lanes means the caller itself.
template <class T> T shuffle(Site site, unsigned mask, T value, int source, int width = 32) {
    const Exchange all = exchange(site, "__shfl_sync", mask, to_bits(value));
    const unsigned group = all.lane & ~(unsigned)(width - 1);
    return read_lane<T>(all, "__shfl_sync", group + ((unsigned)source & (unsigned)(width - 1)));
}
template <class T> T shuffle_up(Site site, unsigned mask, T value, unsigned delta, int width = 32) {
    const Exchange all = exchange(site, "__shfl_up_sync", mask, to_bits(value));
    const unsigned within = all.lane & (unsigned)(width - 1);
    return read_lane<T>(all, "__shfl_up_sync", within < delta ? all.lane : all.lane - delta);
}
template <class T> T shuffle_down(Site site, unsigned mask, T value, unsigned delta, int width = 32) {
    const Exchange all = exchange(site, "__shfl_down_sync", mask, to_bits(value));
    const unsigned within = all.lane & (unsigned)(width - 1);
    return read_lane<T>(all, "__shfl_down_sync", within + delta >= (unsigned)width ? all.lane : all.lane + delta);
}
template <class T> T shuffle_xor(Site site, unsigned mask, T value, int flip, int width = 32) {
    const Exchange all = exchange(site, "__shfl_xor_sync", mask, to_bits(value));
    const unsigned source = all.lane ^ (unsigned)flip;
    const bool later_group = source / (unsigned)width > all.lane / (unsigned)width;
    return read_lane<T>(all, "__shfl_xor_sync", later_group ? all.lane : source);
}
template <class T> unsigned match_any(Site site, unsigned mask, T value) {
    const Exchange all = exchange(site, "__match_any_sync", mask, to_bits(value));
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
        if (all.lanes >> lane & 1 && all.values[lane] == all.values[all.lane]) bits |= 1u << lane;
    return bits;
}

struct Add { template <class T> T operator()(T a, T b) const { return a + b; } };
struct Min { template <class T> T operator()(T a, T b) const { return b < a ? b : a; } };
struct Max { template <class T> T operator()(T a, T b) const { return a < b ? b : a; } };
struct Or { template <class T> T operator()(T a, T b) const { return a | b; } };
template <class T, class Combine> T reduce(Site site, unsigned mask, T value, Combine combine) {
    static_assert(std::is_same<T, int>::value || std::is_same<T, unsigned>::value, "__reduce_*_sync takes 32-bit integers");
    const Exchange all = exchange(site, "__reduce_sync", mask, to_bits(value));
    T result = value;
    for (unsigned lane = 0; lane < 32; ++lane)
        if (lane != all.lane && all.lanes >> lane & 1) result = combine(result, from_bits<T>(all.values[lane]));
    return result;
}

// --- Shared memory.
void register_shared(void* memory, size_t bytes);
void* dynamic_shared();
size_t dynamic_shared_bytes();
[[noreturn]] void out_of_range(long long index, size_t size);

template <class T, size_t N> class SharedArray {
  public:
    SharedArray() { register_shared(items, sizeof items); }
    T& operator[](long long i) {
        if (i < 0 || (size_t)i >= N) out_of_range(i, N);
        return items[i];
    }
    // Unchecked from here on.
    operator T*() { return items; }

  private:
    alignas(16) T items[N];
};

template <class T> class DynamicShared {
  public:
    T& operator[](long long i) {
        if (i < 0 || (size_t)i >= dynamic_shared_bytes() / sizeof(T)) out_of_range(i, dynamic_shared_bytes() / sizeof(T));
        return ((T*)dynamic_shared())[i];
    }
    // Unchecked from here on.
    operator T*() { return (T*)dynamic_shared(); }
};

// --- Launches.
struct Launch {
    const char* kernel;
    dim3 grid, block;
    size_t shared_bytes;
    void (*body)(void*);
    void* arguments;
};
void run(const Launch& launch);

template <class... Parameters, class... Arguments>
void launch(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, Stream, void (*body)(Parameters...),
            Arguments... arguments) {
    struct Call {
        void (*body)(Parameters...);
        std::tuple<std::remove_cv_t<Parameters>...> values;
    } call{body, std::tuple<std::remove_cv_t<Parameters>...>(arguments...)};
    run({kernel, grid, block, shared_bytes, [](void* p) {
             const Call& c = *(const Call*)p;
             std::apply(c.body, c.values);
         }, &call});
}

}  // namespace shim
}  // namespace splatalk
