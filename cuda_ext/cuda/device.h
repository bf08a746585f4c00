// What every kernel file (.cu, .cuh) includes: the CUDA runtime under nvcc, or the host shim that runs the same source on
// the CPU. Between the two only the spelling of a launch and of shared memory differs, and the macros below hide it:
//
//     __global__ void scale(float* x, int n) {
//         SPLATALK_SHARED(float, row, 256);              // __shared__ float row[256], checked on the host
//         SPLATALK_DYNAMIC_SHARED(float, rest);          // extern __shared__ float rest[]
//         ...
//     }
//     SPLATALK_LAUNCH(scale, blocks, 256, bytes, stream, x, n);   // scale<<<blocks, 256, bytes, stream>>>(x, n)
//
// Rules for kernels that are to run in both worlds: shared memory through the two macros (any element type that has no
// constructor), constants and helpers in a namespace, warp operations only in their _sync form, no waiting for another
// block, no inline PTX outside this file.
#pragma once
#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__

#include <cuda_runtime.h>

#define SPLATALK_SHARED(type, name, count) __shared__ type name[count]
#define SPLATALK_DYNAMIC_SHARED(type, name)                              \
    extern __shared__ __align__(16) unsigned char splatalk_dynamic[];    \
    type* name = reinterpret_cast<type*>(splatalk_dynamic)
#define SPLATALK_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__)

#else

#include "host_shim.h"

#define SPLATALK_SHARED(type, name, count) static splatalk::shim::SharedArray<type, (count)> name
#define SPLATALK_DYNAMIC_SHARED(type, name) splatalk::shim::DynamicShared<type> name
#define SPLATALK_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    splatalk::shim::launch(#kernel, grid, block, shared_bytes, stream, kernel, __VA_ARGS__)

#endif

namespace splatalk {

constexpr unsigned kFullWarp = 0xffffffffu;
constexpr int kWarp = 32;

// 2^x to about 2 units in the last place; results below 2^-126 are 0.
static __device__ __forceinline__ float exp2_fast(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return std::exp2(x);
#endif
}

// 1 / x to about 1 unit in the last place, for 2^-126 <= |x| <= 2^126.
static __device__ __forceinline__ float reciprocal_fast(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1.0f / x;
#endif
}

}  // namespace splatalk
