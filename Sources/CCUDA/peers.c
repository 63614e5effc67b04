#include <dlfcn.h>
#include <stdio.h>

#include "gpu_peers.h"

// As a C++ compiler calls SpMM_SplitK_API(CUstream_st *, const __half *, const uint4 *, const int *, const __half *,
// __half *, int, int, int, __half *, int): the release declares it without extern "C".
static const char mangled_split_k[] = "_Z15SpMM_SplitK_APIP11CUstream_stPK6__halfPK5uint4PKiS3_PS1_iiiS9_i";

const char *flash_peer_load(struct flash_peer *peer, const char *path) {
    static _Thread_local char reason[1024];
    // Global, because libraries of kernels may come in several files that need each other.
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        const char *text = dlerror();
        snprintf(reason, sizeof reason, "the peer could not be loaded (%s)", text ? text : "no reason given");
        return reason;
    }
    *(void **)&peer->prepare = dlsym(library, "flash_llm_peer_prepare");
    *(void **)&peer->multiply = dlsym(library, "flash_llm_peer_multiply");
    *(void **)&peer->release = dlsym(library, "flash_llm_peer_release");
    *(void **)&peer->split_k = NULL;
    if (peer->prepare && peer->multiply && peer->release) { return NULL; }
    peer->prepare = NULL;
    *(void **)&peer->split_k = dlsym(library, "SpMM_SplitK_API");
    if (!peer->split_k) { *(void **)&peer->split_k = dlsym(library, mangled_split_k); }
    if (peer->split_k) { return NULL; }
    snprintf(reason, sizeof reason,
             "the peer %s has neither the functions of flash_llm_peer.h nor Flash-LLM's SpMM_SplitK_API", path);
    dlclose(library);
    return reason;
}
