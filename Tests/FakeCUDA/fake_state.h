#ifndef FLASH_LLM_FAKE_STATE_H
#define FLASH_LLM_FAKE_STATE_H

#include "FakeCUDA.h"

#ifdef FAKE_CUDA_EXPORTS
#define FAKE
#else
#define FAKE static
#endif

// What a handle points to. It is never freed, so that a second release is seen as one.
struct fake_object {
    int kind;
    int is_live;
    unsigned long long size;
    void *content;
};

struct fake_object *fake_make(int kind, unsigned long long size, void *content);
// Success, or invalid value and a misuse.
int fake_release(void *handle, int kind);
int fake_is_live(const void *handle, int kind);
// Nonzero: what the call is to return.
int fake_enter(const char *name);
int fake_enter_in_context(const char *name);
void fake_count_compilation(void);
void fake_set_current(void *context);
// The one context, counted as often as it is retained.
CUcontext fake_retain_context(void);
int fake_release_context(void);
int fake_devices(void);
int fake_version(void);

#define ENTER(name)                        \
    do {                                   \
        int failure = fake_enter(name);    \
        if (failure) { return failure; }   \
    } while (0)
#define ENTER_IN_CONTEXT(name)                     \
    do {                                           \
        int failure = fake_enter_in_context(name); \
        if (failure) { return failure; }           \
    } while (0)

#endif
