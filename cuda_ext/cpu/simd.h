// Sixteen floats at a time: one AVX-512 register, two AVX ones, or four of 128 bits (SSE2, NEON).
// Built on the vector extensions of GCC and Clang, so one source serves every instruction set.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

#ifndef SPLATALK_ISA
#error "SPLATALK_ISA names the instruction set this file is compiled for; each gets its own namespace"
#endif

namespace splatalk {
namespace SPLATALK_ISA {
namespace {

#define SIMD_INLINE static inline __attribute__((always_inline))

// ---- native registers -------------------------------------------------------------------------------------------
typedef float vec4 __attribute__((vector_size(16)));
typedef int32_t ivec4 __attribute__((vector_size(16)));
typedef float vec8 __attribute__((vector_size(32)));
typedef int32_t ivec8 __attribute__((vector_size(32)));
typedef float vec16 __attribute__((vector_size(64)));
typedef int32_t ivec16 __attribute__((vector_size(64)));

#if defined(__AVX512F__)
typedef vec16 native;
typedef ivec16 inative;
struct Mask { __mmask16 bits; };
SIMD_INLINE Mask at_least(native a, native b) { return {_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ)}; }
SIMD_INLINE Mask at_most(native a, native b) { return {_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ)}; }
SIMD_INLINE Mask above(native a, native b) { return {_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ)}; }
SIMD_INLINE Mask both(Mask a, Mask b) { return {(__mmask16)(a.bits & b.bits)}; }
SIMD_INLINE bool any(Mask m) { return m.bits != 0; }
SIMD_INLINE native select(Mask m, native a, native b) { return (native)_mm512_mask_blend_ps(m.bits, (__m512)b, (__m512)a); }
SIMD_INLINE native keep(Mask m, native a) { return (native)_mm512_maskz_mov_ps(m.bits, (__m512)a); }
SIMD_INLINE native smallest(native a, native b) { return (native)_mm512_min_ps((__m512)a, (__m512)b); }
SIMD_INLINE native rough_reciprocal(native a) { return (native)_mm512_rcp14_ps((__m512)a); }
SIMD_INLINE native root_of(native a) { return (native)_mm512_sqrt_ps((__m512)a); }
SIMD_INLINE bool all_negative(native a) { return _mm512_movepi32_mask((__m512i)a) == 0xffff; }
SIMD_INLINE vec4 fold(native a) {
    const vec8 half = __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7) +
                      __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15);
    return __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
}
#else
#if defined(__AVX__)
typedef vec8 native;
typedef ivec8 inative;
SIMD_INLINE bool any(inative m) { return _mm256_movemask_ps((__m256)m) != 0; }
SIMD_INLINE native smallest(native a, native b) { return (native)_mm256_min_ps((__m256)a, (__m256)b); }
SIMD_INLINE native rough_reciprocal(native a) { return (native)_mm256_rcp_ps((__m256)a); }
SIMD_INLINE native root_of(native a) { return (native)_mm256_sqrt_ps((__m256)a); }
SIMD_INLINE bool all_negative(native a) { return _mm256_movemask_ps((__m256)a) == 0xff; }
SIMD_INLINE vec4 fold(native a) {
    return __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
}
#else
typedef vec4 native;
typedef ivec4 inative;
SIMD_INLINE vec4 fold(native a) { return a; }
#if defined(__SSE2__)
SIMD_INLINE bool any(inative m) { return _mm_movemask_ps((__m128)m) != 0; }
SIMD_INLINE native smallest(native a, native b) { return (native)_mm_min_ps((__m128)a, (__m128)b); }
SIMD_INLINE native rough_reciprocal(native a) { return (native)_mm_rcp_ps((__m128)a); }
SIMD_INLINE native root_of(native a) { return (native)_mm_sqrt_ps((__m128)a); }
SIMD_INLINE bool all_negative(native a) { return _mm_movemask_ps((__m128)a) == 0xf; }
#else
SIMD_INLINE bool any(inative m) {
    int64_t halves[2];
    std::memcpy(halves, &m, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}
SIMD_INLINE native smallest(native a, native b) { return a < b ? a : b; }
SIMD_INLINE native rough_reciprocal(native a) { return 1.0f / a; }
SIMD_INLINE native root_of(native a) {
    for (int i = 0; i < 4; ++i) a[i] = std::sqrt(a[i]);
    return a;
}
SIMD_INLINE bool all_negative(native a) { return !any((inative)~((inative)a >> 31)); }
#endif
#endif
typedef inative Mask;
SIMD_INLINE Mask at_least(native a, native b) { return a >= b; }
SIMD_INLINE Mask at_most(native a, native b) { return a <= b; }
SIMD_INLINE Mask above(native a, native b) { return a > b; }
SIMD_INLINE Mask both(Mask a, Mask b) { return a & b; }
SIMD_INLINE native select(Mask m, native a, native b) { return m ? a : b; }
SIMD_INLINE native keep(Mask m, native a) { return (native)((inative)a & m); }
#endif

// 2^p to 1e-7 relative for -126 < p < 127; anything, but no trap, outside. Degree-5 polynomial on -0.5..0.5.
SIMD_INLINE native exp2_of(native p) {
    const native rounder = p + 12582912.0f;  // 1.5 * 2^23 leaves round(p) in the low mantissa bits
    const native f = p - (rounder - 12582912.0f);
    const native ff = f * f;  // Estrin's scheme: half as long a chain as Horner's
    const native high = (1.3333558e-3f * f + 9.6181291e-3f) * ff + (5.5504109e-2f * f + 2.4022651e-1f);
    const native r = high * ff + (6.9314718e-1f * f + 1.0f);
    typedef uint32_t unative __attribute__((vector_size(sizeof(native))));
    return (native)((unative)r + ((unative)rounder << 23));
}
SIMD_INLINE native minus_absolute(native a) { return (native)((inative)a | INT32_MIN); }
// 1 / a after one Newton step: about 22 bits.
SIMD_INLINE native reciprocal(native a) {
    const native r = rough_reciprocal(a);
    return r * (2.0f - a * r);
}
SIMD_INLINE native splat(float v, native*) { return v - native{}; }
// The same value, of which the compiler forgets that all lanes are equal: it would compute with scalars and broadcast
// every result.
SIMD_INLINE native opaque_splat(float v, native*) {
    native lanes = v - native{};
#if defined(__AVX__)
    asm("" : "+x"(lanes));
#endif
    return lanes;
}
SIMD_INLINE native load_as(const float* p, native*) { native v; std::memcpy(&v, p, sizeof v); return v; }
SIMD_INLINE void store(float* p, native v) { std::memcpy(p, &v, sizeof v); }

// ---- pairs of narrower registers ----------------------------------------------------------------------------------
template <class H> struct Pair { H lo, hi; };
#define PAIR_OPERATOR(op)                                                                                             \
    template <class H> SIMD_INLINE Pair<H> operator op(const Pair<H>& a, const Pair<H>& b) { return {a.lo op b.lo, a.hi op b.hi}; } \
    template <class H> SIMD_INLINE Pair<H> operator op(const Pair<H>& a, float b) { return {a.lo op b, a.hi op b}; }  \
    template <class H> SIMD_INLINE Pair<H> operator op(float a, const Pair<H>& b) { return {a op b.lo, a op b.hi}; }
PAIR_OPERATOR(+)
PAIR_OPERATOR(-)
PAIR_OPERATOR(*)
PAIR_OPERATOR(/)
#undef PAIR_OPERATOR
#define PAIR_BINARY(name)                                                                                            \
    template <class H> SIMD_INLINE auto name(const Pair<H>& a, const Pair<H>& b) -> Pair<decltype(name(a.lo, b.lo))> { \
        return {name(a.lo, b.lo), name(a.hi, b.hi)};                                                                 \
    }
PAIR_BINARY(at_least)
PAIR_BINARY(at_most)
PAIR_BINARY(above)
PAIR_BINARY(both)
PAIR_BINARY(smallest)
#undef PAIR_BINARY
template <class M, class H> SIMD_INLINE Pair<H> select(const Pair<M>& m, const Pair<H>& a, const Pair<H>& b) {
    return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
}
template <class M, class H> SIMD_INLINE Pair<H> keep(const Pair<M>& m, const Pair<H>& a) {
    return {keep(m.lo, a.lo), keep(m.hi, a.hi)};
}
template <class M> SIMD_INLINE bool any(const Pair<M>& m) { return any(m.lo) || any(m.hi); }
template <class H> SIMD_INLINE Pair<H> exp2_of(const Pair<H>& p) { return {exp2_of(p.lo), exp2_of(p.hi)}; }
template <class H> SIMD_INLINE Pair<H> root_of(const Pair<H>& p) { return {root_of(p.lo), root_of(p.hi)}; }
template <class H> SIMD_INLINE Pair<H> minus_absolute(const Pair<H>& p) { return {minus_absolute(p.lo), minus_absolute(p.hi)}; }
template <class H> SIMD_INLINE bool all_negative(const Pair<H>& p) { return all_negative(p.lo) && all_negative(p.hi); }
template <class H> SIMD_INLINE Pair<H> reciprocal(const Pair<H>& p) { return {reciprocal(p.lo), reciprocal(p.hi)}; }
template <class H> SIMD_INLINE vec4 fold(const Pair<H>& p) { return fold(p.lo) + fold(p.hi); }
template <class H> SIMD_INLINE Pair<H> splat(float v, Pair<H>*) { return {splat(v, (H*)nullptr), splat(v, (H*)nullptr)}; }
template <class H> SIMD_INLINE Pair<H> opaque_splat(float v, Pair<H>*) {
    return {opaque_splat(v, (H*)nullptr), opaque_splat(v, (H*)nullptr)};
}
template <class H> SIMD_INLINE Pair<H> load_as(const float* p, Pair<H>*) {
    return {load_as(p, (H*)nullptr), load_as(p + sizeof(H) / sizeof(float), (H*)nullptr)};
}
template <class H> SIMD_INLINE void store(float* p, const Pair<H>& v) {
    store(p, v.lo);
    store(p + sizeof(H) / sizeof(float), v.hi);
}

// ---- the type the kernels use -------------------------------------------------------------------------------------
template <int registers, class H> struct Widen { typedef typename Widen<registers / 2, Pair<H>>::type type; };
template <class H> struct Widen<1, H> { typedef H type; };
typedef Widen<64 / (int)sizeof(native), native>::type F16;
constexpr int kLanes = 16;
// Eight lanes where that is less work than sixteen; F16 itself where that is one register.
typedef Widen<sizeof(native) == 64 ? 1 : 32 / (int)sizeof(native), native>::type Strip;
constexpr int kStripLanes = (int)(sizeof(Strip) / sizeof(float));

SIMD_INLINE F16 splat(float v) { return splat(v, (F16*)nullptr); }
SIMD_INLINE F16 load(const float* p) { return load_as(p, (F16*)nullptr); }
// The first `n` lanes from memory, zero in the others; n = 16 reads all.
SIMD_INLINE F16 load_first(const float* p, int n) {
    if (n >= kLanes) return load(p);
    float lanes[kLanes] = {0};
    for (int i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
}
SIMD_INLINE void store_first(float* p, const F16& v, int n) {
    if (n >= kLanes) return store(p, v);
    float lanes[kLanes];
    store(lanes, v);
    for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
// The sums of four registers.
template <class L> SIMD_INLINE vec4 sums_of(const L& a, const L& b, const L& c, const L& d) {
    const vec4 p = fold(a), q = fold(b), r = fold(c), s = fold(d);
    const vec4 pq = __builtin_shufflevector(p, q, 0, 4, 1, 5) + __builtin_shufflevector(p, q, 2, 6, 3, 7);
    const vec4 rs = __builtin_shufflevector(r, s, 0, 4, 1, 5) + __builtin_shufflevector(r, s, 2, 6, 3, 7);
    return __builtin_shufflevector(pq, rs, 0, 1, 4, 5) + __builtin_shufflevector(pq, rs, 2, 3, 6, 7);
}
template <class L> SIMD_INLINE float sum_of(const L& a) {
    const vec4 p = fold(a);
    return (p[0] + p[2]) + (p[1] + p[3]);
}

}  // namespace
}  // namespace SPLATALK_ISA
}  // namespace splatalk
