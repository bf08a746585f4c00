// CUDA's vector types, bit and arithmetic intrinsics and atomics as plain C++, for host_shim.h.
// Fibers of one launch never run at the same time, so an atomic operation is an ordinary one.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#define SPLATALK_VECTORS(T, name)                                                                      \
    struct alignas(2 * sizeof(T)) name##2 { T x, y; };                                                 \
    struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) name##4 { T x, y, z, w; };                 \
    static inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                  \
    static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SPLATALK_VECTORS(float, float)
SPLATALK_VECTORS(int, int)
SPLATALK_VECTORS(unsigned, uint)
#undef SPLATALK_VECTORS
struct float3 { float x, y, z; };
struct int3 { int x, y, z; };
struct uchar4 { unsigned char x, y, z, w; };
static inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
static inline int3 make_int3(int x, int y, int z) { return {x, y, z}; }
static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
static inline uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) { return {x, y, z, w}; }

template <class To, class From> static inline To splatalk_bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "same size");
    To out;
    std::memcpy(&out, &value, sizeof out);
    return out;
}
static inline unsigned __float_as_uint(float v) { return splatalk_bits<unsigned>(v); }
static inline int __float_as_int(float v) { return splatalk_bits<int>(v); }
static inline float __uint_as_float(unsigned v) { return splatalk_bits<float>(v); }
static inline float __int_as_float(int v) { return splatalk_bits<float>(v); }

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }

static inline float rsqrtf(float v) { return 1.0f / std::sqrt(v); }
#define __expf(v) std::exp((float)(v))  // macros: the C library has these names
#define __logf(v) std::log((float)(v))
#define __log2f(v) std::log2((float)(v))
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float v) { return 1.0f / v; }
static inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __saturatef(float v) { return v > 0 ? (v < 1 ? v : 1.0f) : 0.0f; }
static inline int __float2int_rn(float v) { return (int)std::nearbyint(v); }
static inline int __float2int_rd(float v) { return (int)std::floor(v); }
static inline int __float2int_ru(float v) { return (int)std::ceil(v); }

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
static inline float min(float a, float b) { return std::fmin(a, b); }
static inline float max(float a, float b) { return std::fmax(a, b); }

template <class T> static inline T __ldg(const T* p) { return *p; }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

template <class T, class F> static inline T splatalk_replace(T* at, F next) {
    const T old = *at;
    *at = next(old);
    return old;
}
template <class T> struct splatalk_same { using type = T; };
#define SPLATALK_ATOMIC(name, expression)                                                              \
    template <class T> static inline T name(T* at, typename splatalk_same<T>::type value) {            \
        return splatalk_replace(at, [value](T old) -> T { (void)old; return expression; });            \
    }
SPLATALK_ATOMIC(atomicAdd, old + value)
SPLATALK_ATOMIC(atomicSub, old - value)
SPLATALK_ATOMIC(atomicMin, old < value ? old : value)
SPLATALK_ATOMIC(atomicMax, old > value ? old : value)
SPLATALK_ATOMIC(atomicOr, old | value)
SPLATALK_ATOMIC(atomicAnd, old & value)
SPLATALK_ATOMIC(atomicExch, value)
#undef SPLATALK_ATOMIC
template <class T>
static inline T atomicCAS(T* at, typename splatalk_same<T>::type compare, typename splatalk_same<T>::type value) {
    return splatalk_replace(at, [=](T old) -> T { return old == compare ? value : old; });
}
