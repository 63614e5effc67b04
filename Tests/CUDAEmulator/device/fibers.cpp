#include "fibers.h"

#include <cstdlib>
#include <sys/mman.h>

// An indirect jump instead of a return: fibers take turns, and a return would be predicted to go to the wrong one.
#if defined(__x86_64__)
asm(R"(
    .text
    .p2align 4
    .globl flash_emulator_switch
    .type flash_emulator_switch, @function
flash_emulator_switch:
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
    popq %rcx
    jmpq *%rcx
    .size flash_emulator_switch, . - flash_emulator_switch
)");
#elif defined(__aarch64__)
asm(R"(
    .text
    .p2align 4
    .globl flash_emulator_switch
    .type flash_emulator_switch, %function
flash_emulator_switch:
    stp x29, x30, [sp, #-160]!
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x29, x30, [sp], #160
    br x30
    .size flash_emulator_switch, . - flash_emulator_switch
)");
#else
#error "The emulator has no switch of fibers for this processor."
#endif

namespace emulator {

// Kernels keep their tiles of sums in registers, here on the stack: some kilobytes.
constexpr u64 stack_bytes = 128 << 10, guard_bytes = 64 << 10;
constexpr u32 most_stacks = 1024;

void *stack_top(u32 index) {
    static u8 *stacks = nullptr;
    if (stacks == nullptr) {
        const u64 bytes = most_stacks * (stack_bytes + guard_bytes);
        void *map = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED) std::abort();
        stacks = static_cast<u8 *>(map);
    }
    static bool is_mapped[most_stacks];
    u8 *stack = stacks + index * (stack_bytes + guard_bytes) + guard_bytes;
    if (!is_mapped[index]) {
        if (mprotect(stack, stack_bytes, PROT_READ | PROT_WRITE) != 0) std::abort();
        is_mapped[index] = true;
    }
    // Stacks begin at different places of their pages: else all threads' variables would compete for the same sets of
    // the cache.
    return stack + stack_bytes - index * 832 % 16384;
}

void *prepare_stack(void *top, void (*entry)()) {
#if defined(__x86_64__)
    // A called function finds its return address at 8 modulo 16; here it is zero, and never used.
    void **stack = static_cast<void **>(top) - 1;
    stack[0] = nullptr;
    *--stack = reinterpret_cast<void *>(entry);
    for (int i = 0; i < 6; i++) *--stack = nullptr;
#else
    void **stack = static_cast<void **>(top) - 20;
    for (int i = 0; i < 20; i++) stack[i] = nullptr;
    stack[1] = reinterpret_cast<void *>(entry);
#endif
    return stack;
}

}  // namespace emulator
