// Finds NVIDIA's libraries while the program runs, so that nothing of CUDA is needed to build or to start it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_driver.h"
#include "cuda_libraries.h"

// What went wrong last on this thread.
static _Thread_local char reason[1024];

__attribute__((format(printf, 1, 2))) static const char *because(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return reason;
}

static const char *last_dl_error(void) {
    const char *text = dlerror();
    return text ? text : "no reason given";
}

// ---- Where toolkits and Python packages put libraries ---------------------------------------------------------------

// A pattern of folders, below the folder that `variable` of the environment names, if it is not null.
struct place {
    const char *variable;
    const char *pattern;
};

// nvidia/cu13/lib is the layout of the packages of CUDA 13, nvidia/cuda_nvrtc/lib and the like that of CUDA 12.
// Debian's Python calls the folder dist-packages, all others site-packages.
#define PYTHON_PACKAGES "/lib*/python3*/*-packages/nvidia/*/lib"
static const struct place places[] = {
    {"VIRTUAL_ENV", PYTHON_PACKAGES},
    {"CONDA_PREFIX", PYTHON_PACKAGES},
    {"CONDA_PREFIX", "/lib"},
    {NULL, "/usr/local/cuda/lib64"},
    {NULL, "/usr/local/cuda/targets/*-linux/lib"},
    {NULL, "/usr/local/cuda-*/lib64"},
    {"HOME", "/.local" PYTHON_PACKAGES},
    {"HOME", "/.pyenv/versions/*" PYTHON_PACKAGES},
    {NULL, "/usr/local" PYTHON_PACKAGES},
    {NULL, "/usr" PYTHON_PACKAGES},
    {NULL, "/opt/conda" PYTHON_PACKAGES},
};
static const char places_text[] =
    "the library path, /usr/local/cuda, and the Python packages of VIRTUAL_ENV, CONDA_PREFIX, ~/.local, ~/.pyenv, "
    "/usr/local and /usr";

// Opens what lies beside `path` and matches `pattern`: Python packages carry no RUNPATH, so that a library does not
// find those it needs unless they are in the process already.
static void open_beside(const char *path, const char *pattern) {
    const char *slash = strrchr(path, '/');
    char name[1024];
    glob_t found;
    if (!pattern || !slash) { return; }
    int length = snprintf(name, sizeof name, "%.*s/%s", (int)(slash - path), path, pattern);
    if (length < 0 || (size_t)length >= sizeof name || glob(name, 0, NULL, &found)) { return; }
    for (size_t index = 0; index < found.gl_pathc; index++) { dlopen(found.gl_pathv[index], RTLD_NOW | RTLD_GLOBAL); }
    globfree(&found);
}

// The first library called `name` in one of the places; null if there is none that can be opened.
static void *open_in_places(const char *name, const char *companions) {
    void *library = NULL;
    for (size_t index = 0; index < sizeof places / sizeof *places && !library; index++) {
        const char *root = places[index].variable ? getenv(places[index].variable) : "";
        char pattern[1024];
        glob_t found;
        if (!root || (places[index].variable && !*root)) { continue; }
        int length = snprintf(pattern, sizeof pattern, "%s%s/%s", root, places[index].pattern, name);
        if (length < 0 || (size_t)length >= sizeof pattern || glob(pattern, 0, NULL, &found)) { continue; }
        for (size_t match = 0; match < found.gl_pathc && !library; match++) {
            open_beside(found.gl_pathv[match], companions);
            library = dlopen(found.gl_pathv[match], RTLD_NOW | RTLD_LOCAL);
        }
        globfree(&found);
    }
    return library;
}

// A library that comes with a toolkit and whose file's name ends in a version.
struct toolkit_library {
    const char *stem;        // "libnvrtc.so"
    const char *companions;  // a pattern of what it needs and may not find
    const char *purpose;
    const char *advice;
    int versions[2];  // in the order to try; 0 is none
};

// Opens the library at `path`, or looks for it. On failure returns null and sets the reason.
static void *open_toolkit_library(const struct toolkit_library *wanted, const char *path) {
    if (path) {
        open_beside(path, wanted->companions);
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library) { because("%s could not be loaded (%s)", wanted->stem, last_dl_error()); }
        return library;
    }
    for (size_t index = 0; index < 2 && wanted->versions[index]; index++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%d", wanted->stem, wanted->versions[index]);
        void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (!library) { library = open_in_places(name, wanted->companions); }
        if (library) { return library; }
    }
    char names[64];
    snprintf(names, sizeof names, wanted->versions[1] ? "%s.%d or .%d" : "%s.%d", wanted->stem, wanted->versions[0],
             wanted->versions[1]);
    because("%s, %s, was not found (looked in %s): %s", names, wanted->purpose, places_text, wanted->advice);
    return NULL;
}

// ---- Filling the tables ---------------------------------------------------------------------------------------------

// The path of the file that holds `address`.
static const char *path_of(const void *address) {
    Dl_info information;
    return address && dladdr(address, &information) ? information.dli_fname : NULL;
}

static const char *missing_function(void *library, const char *file, const char *name, const char *advice) {
    const char *text = because("%s has no function %s: %s", file, name, advice);
    dlclose(library);
    return text;
}

#define ADDRESS(name) (*(void **)&table->name = dlsym(library, #name))
#define LOAD(name, arguments) \
    if (!ADDRESS(name)) { return missing_function(library, file, #name, advice); }

const char *flash_cuda_load_driver(struct flash_cuda_driver *table) {
    static const char file[] = "libcuda.so.1";
    static const char advice[] = "the NVIDIA driver is older than CUDA 12.0";
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        // Its own text repeats the file's name.
        return because("the NVIDIA driver's library could not be loaded (%s): "
                       "install the driver, or give the container its GPUs",
                       last_dl_error());
    }
    FLASH_CUDA_DRIVER_FUNCTIONS(LOAD)
    ADDRESS(cuFuncGetParamInfo);
    ADDRESS(cuLaunchKernelEx);
    return NULL;
}

const char *flash_cuda_load_nvrtc(struct flash_nvrtc *table, const char *path, int first_major) {
    static const char advice[] = "it is no NVRTC of CUDA 12.0 or later";
    const struct toolkit_library wanted = {
        "libnvrtc.so", "libnvrtc-builtins.so*", "which compiles the GPU kernels",
        first_major == 12 ? "install the CUDA toolkit or 'pip install nvidia-cuda-nvrtc-cu12', or name the file in "
                            "FLASH_LLM_NVRTC"
                          : "install the CUDA toolkit or 'pip install nvidia-cuda-nvrtc', or name the file in "
                            "FLASH_LLM_NVRTC",
        {first_major == 12 ? 12 : 13, first_major == 12 ? 13 : 12}};
    void *library = open_toolkit_library(&wanted, path);
    if (!library) { return reason; }
    const char *file = path ? path : wanted.stem;
    FLASH_NVRTC_FUNCTIONS(LOAD)
    LOAD(nvrtcGetErrorString, )
    return NULL;
}

const char *flash_cuda_load_cublas(struct flash_cublas *table, const char *path, int first_major) {
    static const char advice[] = "it is no cuBLAS of CUDA 12.0 or later";
    const struct toolkit_library wanted = {
        "libcublas.so", "libcublasLt.so.*", "which kernels are compared with",
        "install the CUDA toolkit or 'pip install nvidia-cublas'",
        {first_major == 12 ? 12 : 13, first_major == 12 ? 13 : 12}};
    void *library = open_toolkit_library(&wanted, path);
    if (!library) { return reason; }
    const char *file = path ? path : wanted.stem;
    FLASH_CUBLAS_FUNCTIONS(LOAD)
    LOAD(cublasGetStatusString, )
    return NULL;
}

const char *flash_cuda_load_cusparse(struct flash_cusparse *table, const char *path) {
    static const char advice[] = "it is no cuSPARSE of CUDA 12.0 or later";
    // CUDA 13 still ships version 12 of this library.
    const struct toolkit_library wanted = {
        "libcusparse.so", "libnvJitLink.so.*", "which kernels are compared with",
        "install the CUDA toolkit or 'pip install nvidia-cusparse nvidia-nvjitlink'", {12, 0}};
    void *library = open_toolkit_library(&wanted, path);
    if (!library) { return reason; }
    const char *file = path ? path : wanted.stem;
    FLASH_CUSPARSE_FUNCTIONS(LOAD)
    LOAD(cusparseGetErrorString, )
    return NULL;
}

#define MISSING(name, arguments) \
    if (!table->name) { return #name; }

const char *flash_cuda_missing_function(const struct flash_cuda_driver *table) {
    FLASH_CUDA_DRIVER_FUNCTIONS(MISSING)
    return NULL;
}

const char *flash_nvrtc_missing_function(const struct flash_nvrtc *table) {
    FLASH_NVRTC_FUNCTIONS(MISSING)
    MISSING(nvrtcGetErrorString, )
    return NULL;
}

const char *flash_cuda_driver_path(const struct flash_cuda_driver *table) {
    return path_of((const void *)table->cuInit);
}

const char *flash_nvrtc_path(const struct flash_nvrtc *table) {
    return path_of((const void *)table->nvrtcVersion);
}
