// Fibers: stacks of their own, and the switch between them.
#pragma once

#include "interface.h"

namespace emulator {

// Saves the callee-saved registers on the running stack, its address in `*from`, and goes on where `to` was left.
extern "C" void flash_emulator_switch(void **from, void *to);

// The stack of thread `index`, mapped at first use and kept; below it lies a page that cannot be touched.
void *stack_top(u32 index);

// A stack on which the switch will call `entry`, which must not return.
void *prepare_stack(void *top, void (*entry)());

}  // namespace emulator
