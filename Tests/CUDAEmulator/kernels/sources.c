#include "test_sources.h"

struct source {
    const char *name;
    const unsigned char *text;
};

// The zero ends the text for NVRTC, which reads C strings.
static const struct source sources[] = {
    {"functions.cu", (const unsigned char[]){
#embed "functions.cu" suffix(, 0)
    }},
    {"test_kernels.h", (const unsigned char[]){
#embed "../include/test_kernels.h" suffix(, 0)
    }},
};

int flash_test_source_count(void) { return (int)(sizeof sources / sizeof *sources); }

const char *flash_test_source_name(int index) { return sources[index].name; }

const char *flash_test_source_text(int index) { return (const char *)sources[index].text; }
