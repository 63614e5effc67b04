#include "fake_state.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_long live[FAKE_KINDS];
static atomic_long misuses, compilations;
static atomic_int devices = 1, version = 12040;
static char primary_context;
static _Thread_local void *current;
// Tests run on threads of their own, and let fail what they call themselves.
static _Thread_local const char *failing;
static _Thread_local int failure_code;

long fake_live(int kind) { return atomic_load(&live[kind]); }
long fake_misuses(void) { return atomic_load(&misuses); }
long fake_compilations(void) { return atomic_load(&compilations); }
void fake_count_compilation(void) { atomic_fetch_add(&compilations, 1); }
void fake_set_devices(int count) { atomic_store(&devices, count); }
void fake_set_version(int number) { atomic_store(&version, number); }
int fake_devices(void) { return atomic_load(&devices); }
int fake_version(void) { return atomic_load(&version); }
void fake_set_current(void *context) { current = context; }

void fake_fail_next(const char *name, int code) {
    free((void *)failing);
    failing = strdup(name);
    failure_code = code;
}

struct fake_object *fake_make(int kind, unsigned long long size, void *content) {
    struct fake_object *object = malloc(sizeof *object);
    *object = (struct fake_object){kind, 1, size, content};
    atomic_fetch_add(&live[kind], 1);
    return object;
}

int fake_is_live(const void *handle, int kind) {
    const struct fake_object *object = handle;
    return object && object->kind == kind && object->is_live;
}

int fake_release(void *handle, int kind) {
    if (!fake_is_live(handle, kind)) {
        atomic_fetch_add(&misuses, 1);
        return FLASH_CUDA_ERROR_INVALID_VALUE;
    }
    ((struct fake_object *)handle)->is_live = 0;
    atomic_fetch_sub(&live[kind], 1);
    return 0;
}

int fake_enter(const char *name) {
    if (!failing || strcmp(failing, name)) { return 0; }
    free((void *)failing);
    failing = NULL;
    return failure_code;
}

int fake_enter_in_context(const char *name) {
    if (current != &primary_context || !fake_live(FAKE_CONTEXT)) {
        atomic_fetch_add(&misuses, 1);
        return 201;
    }
    return fake_enter(name);
}

CUcontext fake_retain_context(void) {
    atomic_fetch_add(&live[FAKE_CONTEXT], 1);
    return (CUcontext)&primary_context;
}

int fake_release_context(void) {
    if (atomic_fetch_sub(&live[FAKE_CONTEXT], 1) > 0) { return 0; }
    atomic_fetch_add(&live[FAKE_CONTEXT], 1);
    atomic_fetch_add(&misuses, 1);
    return FLASH_CUDA_ERROR_INVALID_VALUE;
}
