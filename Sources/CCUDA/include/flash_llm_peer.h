#ifndef FLASH_LLM_PEER_H
#define FLASH_LLM_PEER_H

// The entry points of a shared library with somebody's own kernels, which `flash-llm bench spmm --device cuda --peer
// NAME=PATH` measures beside ours. See docs/peers.md.
//
// All pointers to matrices are addresses in the GPU's memory, in the primary context of the current device, which is
// the one that CUDA's runtime API uses. Functions return 0, FLASH_LLM_PEER_UNSUPPORTED, or any other number for a
// failure.

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FLASH_LLM_PEER_VERSION = 1, FLASH_LLM_PEER_UNSUPPORTED = 1 };

// One weight matrix in three forms; a peer encodes its own from whichever it likes. It must not keep the pointers:
// they are valid during flash_llm_peer_prepare.
struct flash_llm_peer_matrix {
    int version;               // FLASH_LLM_PEER_VERSION
    int rows, columns;
    int nonzeros;
    const void *dense;         // f16 [rows, columns], row-major
    const int *row_offsets;    // [rows + 1]
    const int *column_indices; // [nonzeros], ascending in a row
    const void *values;        // f16 [nonzeros]
    const void *tiled_csl;     // Tiled-CSL of Flash-LLM: 32-bit words, in vectors of four,
    const int *tile_offsets;   // [rows / 128 * columns / 64 + 2], in vectors
};

// Makes what the products need. `handle` is the peer's own, `stored_bytes` what one product reads of the weights.
int flash_llm_peer_prepare(const struct flash_llm_peer_matrix *matrix, void **handle, size_t *stored_bytes);

// output[t, r] = sum over k of weights[r, k] * input[t, k], given to `stream`, a CUstream (the same as a cudaStream_t).
// input: f16 [tokens, columns]; output: f16 [tokens, rows]. FLASH_LLM_PEER_UNSUPPORTED for a number of tokens that the
// kernels do not take.
int flash_llm_peer_multiply(void *handle, const void *input, void *output, int tokens, void *stream);

void flash_llm_peer_release(void *handle);

#ifdef __cplusplus
}
#endif

#endif
