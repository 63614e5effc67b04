#include "report.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "fibers.h"
#include "machine.h"

namespace emulator {

static char text[4096];

const char *report() { return text; }
void clear_report() { text[0] = 0; }

static void append(const char *format, va_list arguments) {
    const size_t used = std::strlen(text);
    std::vsnprintf(text + used, sizeof text - used, format, arguments);
}

void add_to_report(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    append(format, arguments);
    va_end(arguments);
}

void write_report(const char *format, ...) {
    clear_report();
    va_list arguments;
    va_start(arguments, format);
    append(format, arguments);
    va_end(arguments);
}

static const char *file_of(Site site) {
    const char *slash = std::strrchr(site.file_name(), '/');
    return slash == nullptr ? site.file_name() : slash + 1;
}

void fail(int code, Site site, const char *format, ...) {
    write_report(
        "%s, block (%u, %u, %u), thread %u, %s:%u: ", machine.launch.kernel->name, place.block[0], place.block[1],
        place.block[2], place.thread, file_of(site), unsigned(site.line()));
    va_list arguments;
    va_start(arguments, format);
    append(format, arguments);
    va_end(arguments);
    machine.error = code;
    // The fibers of this block are left as they are: kernels own nothing that must be given back.
    void *abandoned;
    flash_emulator_switch(&abandoned, machine.main_stack);
    __builtin_unreachable();
}

}  // namespace emulator
