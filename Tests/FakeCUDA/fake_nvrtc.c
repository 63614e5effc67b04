#include "fake_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct program {
    char *name;
    char *source;
    char *cubin;
    char log[512];
};

static struct program *program_of(nvrtcProgram handle) { return ((struct fake_object *)handle)->content; }

FAKE nvrtcResult nvrtcVersion(int *major, int *minor) {
    *major = 13;
    *minor = 0;
    return 0;
}
FAKE const char *nvrtcGetErrorString(nvrtcResult result) { return result == 1 ? "NVRTC_ERROR_OUT_OF_MEMORY" : "other"; }
FAKE nvrtcResult nvrtcCreateProgram(nvrtcProgram *program, const char *source, const char *name, int header_count,
                                    const char *const *headers, const char *const *header_names) {
    ENTER("nvrtcCreateProgram");
    struct program *made = calloc(1, sizeof *made);
    made->name = strdup(name);
    made->source = strdup(source);
    *program = (nvrtcProgram)fake_make(FAKE_PROGRAM, (unsigned)header_count, made);
    return 0;
}
// The code is the architecture and the source. A source with "#error" does not compile.
FAKE nvrtcResult nvrtcCompileProgram(nvrtcProgram handle, int option_count, const char *const *options) {
    ENTER("nvrtcCompileProgram");
    fake_count_compilation();
    struct program *program = program_of(handle);
    if (strstr(program->source, "#error")) {
        snprintf(program->log, sizeof program->log, "note\n%s(1): error: #error directive\n\n1 error detected\n",
                 program->name);
        return FLASH_NVRTC_ERROR_COMPILATION;
    }
    const char *start = "--gpu-architecture=";
    for (int index = 0; index < option_count; index++) {
        if (strncmp(options[index], start, strlen(start))) { continue; }
        const size_t bytes = strlen(program->source) + 64;
        program->cubin = malloc(bytes);
        snprintf(program->cubin, bytes, "FAKE %s\n%s", options[index] + strlen(start), program->source);
        return 0;
    }
    return 5;
}
FAKE nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t *bytes) {
    *bytes = strlen(program_of(program)->log) + 1;
    return 0;
}
FAKE nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char *log) {
    strcpy(log, program_of(program)->log);
    return 0;
}
FAKE nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t *bytes) {
    *bytes = strlen(program_of(program)->cubin) + 1;
    return 0;
}
FAKE nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char *cubin) {
    strcpy(cubin, program_of(program)->cubin);
    return 0;
}
FAKE nvrtcResult nvrtcDestroyProgram(nvrtcProgram *program) { return fake_release(*program, FAKE_PROGRAM); }

#define FILL(name, arguments) .name = name,
struct flash_nvrtc fake_nvrtc(void) {
    return (struct flash_nvrtc){FLASH_NVRTC_FUNCTIONS(FILL).nvrtcGetErrorString = nvrtcGetErrorString};
}
