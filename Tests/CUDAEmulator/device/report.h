// The text of the last failure.
#pragma once

#include <cstddef>

namespace emulator {

void clear_report();
void write_report(const char *format, ...) __attribute__((format(printf, 1, 2)));
void add_to_report(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *report();

}  // namespace emulator
