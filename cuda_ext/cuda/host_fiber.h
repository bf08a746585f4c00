// A stack of its own for a piece of code that can be left in the middle and resumed. Only for host_shim.cpp.
#pragma once
#include <cstddef>

#if !defined(__x86_64__) || defined(SPLATALK_SHIM_UCONTEXT)
#include <ucontext.h>
#define SPLATALK_FIBER_UCONTEXT
#endif

namespace splatalk {
namespace shim {

// Where to continue.
struct Context {
#ifdef SPLATALK_FIBER_UCONTEXT
    ucontext_t state;
#else
    void* stack_pointer;
#endif
};

constexpr size_t kStackBytes = 64 * 1024;

// Makes `to` start with entry() on `stack` (kStackBytes, 16-byte aligned). entry must not return.
void prepare(Context& to, unsigned char* stack, void (*entry)());

// Leaves the running code in `from` and continues with `to`.
void switch_context(Context& from, Context& to);

}  // namespace shim
}  // namespace splatalk
