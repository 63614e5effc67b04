#ifndef FLASH_LLM_GPU_PEERS_H
#define FLASH_LLM_GPU_PEERS_H

// Shared libraries with other people's kernels, loaded when a benchmark asks for them.

#include "flash_llm_peer.h"

#ifdef __cplusplus
extern "C" {
#endif

// A peer's functions: those of flash_llm_peer.h, or else the product of the released Flash-LLM.
struct flash_peer {
    int (*prepare)(const struct flash_llm_peer_matrix *matrix, void **handle, size_t *stored_bytes);
    int (*multiply)(void *handle, const void *input, void *output, int tokens, void *stream);
    void (*release)(void *handle);
    // SpMM_SplitK_API of AlibabaResearch/flash-llm, csrc/SpMM_API.cu, which returns a cudaError_t: m, n, k are rows,
    // tokens and columns; `dense` is not read.
    int (*split_k)(void *stream, const void *dense, const void *tiled_csl, const int *tile_offsets, const void *input,
                   void *output, int m, int n, int k, void *workspace, int split_k);
};

// Fills `peer` from the library at `path`: the first three functions or the last one, the others null. Returns null, or
// why not: a text that lives until the next call on this thread. A library is never unloaded.
const char *flash_peer_load(struct flash_peer *peer, const char *path);

#ifdef __cplusplus
}
#endif

#endif
