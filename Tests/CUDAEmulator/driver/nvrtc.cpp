// NVRTC: takes every source for right that does not say #error.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"
#include "image.h"

using namespace emulator;

struct flash_nvrtc_program {
    std::string source, name, log;
    bool is_compiled;
    Image image;
};

namespace emulator {

enum { nvrtc_success = 0, nvrtc_invalid_input = 3, nvrtc_invalid_program = 4, nvrtc_invalid_option = 5,
       nvrtc_compilation = 6 };

static std::mutex nvrtc_mutex;
static Handles<flash_nvrtc_program> programs;

static int line_of(const std::string &source, size_t position) {
    int line = 1;
    for (size_t i = 0; i < position; i++) line += source[i] == '\n';
    return line;
}

// The number of `--gpu-architecture=sm_90` or `-arch=sm_90`; 0 if it is another option, -1 if it is wrong.
static int architecture_of(const char *option) {
    const char *value = nullptr;
    for (const char *name : {"--gpu-architecture=", "-arch="}) {
        if (std::strncmp(option, name, std::strlen(name)) == 0) value = option + std::strlen(name);
    }
    if (value == nullptr) return 0;
    if (std::strncmp(value, "sm_", 3) != 0) return -1;
    const int number = std::atoi(value + 3);
    return number >= 50 && number <= 130 ? number : -1;
}

}  // namespace emulator

nvrtcResult emulated_nvrtcVersion(int *major, int *minor) {
    *major = 13;
    *minor = 0;
    return nvrtc_success;
}

const char *emulated_nvrtcGetErrorString(nvrtcResult result) {
    return result == nvrtc_success ? "NVRTC_SUCCESS" : "NVRTC_ERROR_COMPILATION";
}

nvrtcResult emulated_nvrtcCreateProgram(
    nvrtcProgram *program, const char *source, const char *name, int header_count, const char *const *headers,
    const char *const *header_names) {
    if (program == nullptr || source == nullptr || header_count < 0) return nvrtc_invalid_input;
    if (header_count > 0 && (headers == nullptr || header_names == nullptr)) return nvrtc_invalid_input;
    const std::lock_guard lock(nvrtc_mutex);
    *program = programs.add({source, name == nullptr ? "default_program" : name, "", false, {}});
    return nvrtc_success;
}

nvrtcResult emulated_nvrtcCompileProgram(nvrtcProgram program, int option_count, const char *const *options) {
    const std::lock_guard lock(nvrtc_mutex);
    if (!programs.has(program)) return nvrtc_invalid_program;
    int architecture = 75;
    for (int i = 0; i < option_count; i++) {
        const int number = architecture_of(options[i]);
        if (number < 0 || options[i][0] != '-') {
            program->log = std::string("nvrtc: error: invalid value for option ") + options[i] + "\n";
            return nvrtc_invalid_option;
        }
        if (number > 0) architecture = number;
    }
    const size_t error = program->source.find("#error");
    if (error != std::string::npos) {
        const size_t end = program->source.find('\n', error);
        program->log = program->name + "(" + std::to_string(line_of(program->source, error)) + "): catastrophic error: "
                       + program->source.substr(error, end == std::string::npos ? end : end - error) + "\n";
        return nvrtc_compilation;
    }
    program->image = {};
    std::memcpy(program->image.magic, image_magic, sizeof image_magic);
    program->image.architecture = architecture;
    std::snprintf(program->image.source_name, sizeof program->image.source_name, "%s", program->name.c_str());
    program->is_compiled = true;
    return nvrtc_success;
}

nvrtcResult emulated_nvrtcGetProgramLogSize(nvrtcProgram program, size_t *bytes) {
    const std::lock_guard lock(nvrtc_mutex);
    if (!programs.has(program)) return nvrtc_invalid_program;
    *bytes = program->log.size() + 1;
    return nvrtc_success;
}

nvrtcResult emulated_nvrtcGetProgramLog(nvrtcProgram program, char *log) {
    const std::lock_guard lock(nvrtc_mutex);
    if (!programs.has(program)) return nvrtc_invalid_program;
    std::memcpy(log, program->log.c_str(), program->log.size() + 1);
    return nvrtc_success;
}

nvrtcResult emulated_nvrtcGetCUBINSize(nvrtcProgram program, size_t *bytes) {
    const std::lock_guard lock(nvrtc_mutex);
    if (!programs.has(program) || !program->is_compiled) return nvrtc_invalid_program;
    *bytes = sizeof(Image);
    return nvrtc_success;
}

nvrtcResult emulated_nvrtcGetCUBIN(nvrtcProgram program, char *cubin) {
    const std::lock_guard lock(nvrtc_mutex);
    if (!programs.has(program) || !program->is_compiled) return nvrtc_invalid_program;
    std::memcpy(cubin, &program->image, sizeof(Image));
    return nvrtc_success;
}

nvrtcResult emulated_nvrtcDestroyProgram(nvrtcProgram *program) {
    const std::lock_guard lock(nvrtc_mutex);
    if (program == nullptr || !programs.remove(*program)) return nvrtc_invalid_program;
    *program = nullptr;
    return nvrtc_success;
}
