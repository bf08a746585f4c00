#include "host_fiber.h"

#include <cstdint>
#include <cstring>

#ifndef SPLATALK_FIBER_UCONTEXT
// ucontext enters the kernel at every switch; a shuffle of a warp is 32 switches. These ten instructions do not.
extern "C" void splatalk_switch_stack(void** from, void* to);
asm(R"(
    .text
    .p2align 4
    .hidden splatalk_switch_stack
    .globl splatalk_switch_stack
    .type splatalk_switch_stack, @function
splatalk_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size splatalk_switch_stack, .-splatalk_switch_stack
)");
#endif

namespace splatalk {
namespace shim {

#ifdef SPLATALK_FIBER_UCONTEXT

void prepare(Context& to, unsigned char* stack, void (*entry)()) {
    getcontext(&to.state);
    to.state.uc_stack.ss_sp = stack;
    to.state.uc_stack.ss_size = kStackBytes;
    to.state.uc_link = nullptr;
    makecontext(&to.state, entry, 0);
}

void switch_context(Context& from, Context& to) { swapcontext(&from.state, &to.state); }

#else

void prepare(Context& to, unsigned char* stack, void (*entry)()) {
    constexpr int kSaved = 6;                                     // registers that the switch pops
    uintptr_t* top = (uintptr_t*)(stack + kStackBytes) - 2;       // keeps the stack aligned as after a call
    top[0] = (uintptr_t)entry;
    top[1] = 0;                                                   // entry has no caller
    std::memset(top - kSaved, 0, kSaved * sizeof(uintptr_t));
    to.stack_pointer = top - kSaved;
}

void switch_context(Context& from, Context& to) { splatalk_switch_stack(&from.stack_pointer, to.stack_pointer); }

#endif

}  // namespace shim
}  // namespace splatalk
