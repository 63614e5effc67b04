#include "gpu_sources.h"

#include <string.h>

struct source {
    const char *name;
    const unsigned char *text;
};

// A new file of the folder `kernels` gets its lines here: a test compares this list with the folder. The zero ends the
// text for NVRTC, which reads C strings.
static const struct source sources[] = {
    {"gpu_parameters.h", (const unsigned char[]){
#embed "include/gpu_parameters.h" suffix(, 0)
    }},
    {"activation.cu", (const unsigned char[]){
#embed "kernels/activation.cu" suffix(, 0)
    }},
    {"activations.cuh", (const unsigned char[]){
#embed "kernels/activations.cuh" suffix(, 0)
    }},
    {"argmax.cu", (const unsigned char[]){
#embed "kernels/argmax.cu" suffix(, 0)
    }},
    {"arrivals.cuh", (const unsigned char[]){
#embed "kernels/arrivals.cuh" suffix(, 0)
    }},
    {"attention.cu", (const unsigned char[]){
#embed "kernels/attention.cu" suffix(, 0)
    }},
    {"attention.cuh", (const unsigned char[]){
#embed "kernels/attention.cuh" suffix(, 0)
    }},
    {"attention_results.cuh", (const unsigned char[]){
#embed "kernels/attention_results.cuh" suffix(, 0)
    }},
    {"bandwidth.cu", (const unsigned char[]){
#embed "kernels/bandwidth.cu" suffix(, 0)
    }},
    {"elements.cuh", (const unsigned char[]){
#embed "kernels/elements.cuh" suffix(, 0)
    }},
    {"embedding.cu", (const unsigned char[]){
#embed "kernels/embedding.cu" suffix(, 0)
    }},
    {"expansion.cuh", (const unsigned char[]){
#embed "kernels/expansion.cuh" suffix(, 0)
    }},
    {"gpu.cuh", (const unsigned char[]){
#embed "kernels/gpu.cuh" suffix(, 0)
    }},
    {"gpu_ptx.cuh", (const unsigned char[]){
#embed "kernels/gpu_ptx.cuh" suffix(, 0)
    }},
    {"norm.cu", (const unsigned char[]){
#embed "kernels/norm.cu" suffix(, 0)
    }},
    {"probe.cu", (const unsigned char[]){
#embed "kernels/probe.cu" suffix(, 0)
    }},
    {"product.cuh", (const unsigned char[]){
#embed "kernels/product.cuh" suffix(, 0)
    }},
    {"reductions.cuh", (const unsigned char[]){
#embed "kernels/reductions.cuh" suffix(, 0)
    }},
    {"results.cuh", (const unsigned char[]){
#embed "kernels/results.cuh" suffix(, 0)
    }},
    {"rotation.cu", (const unsigned char[]){
#embed "kernels/rotation.cu" suffix(, 0)
    }},
    {"soft_cap.cuh", (const unsigned char[]){
#embed "kernels/soft_cap.cuh" suffix(, 0)
    }},
    {"spmm_dense.cu", (const unsigned char[]){
#embed "kernels/spmm_dense.cu" suffix(, 0)
    }},
    {"spmm_lane_bitmap.cu", (const unsigned char[]){
#embed "kernels/spmm_lane_bitmap.cu" suffix(, 0)
    }},
    {"spmm_lane_stream.cu", (const unsigned char[]){
#embed "kernels/spmm_lane_stream.cu" suffix(, 0)
    }},
    {"spmm_tiled_csl.cu", (const unsigned char[]){
#embed "kernels/spmm_tiled_csl.cu" suffix(, 0)
    }},
    {"turns.cuh", (const unsigned char[]){
#embed "kernels/turns.cuh" suffix(, 0)
    }},
    {"work.cuh", (const unsigned char[]){
#embed "kernels/work.cuh" suffix(, 0)
    }},
};

int flash_gpu_source_count(void) { return (int)(sizeof sources / sizeof *sources); }

const char *flash_gpu_source_name(int index) { return sources[index].name; }

const char *flash_gpu_source_text(int index) { return (const char *)sources[index].text; }

size_t flash_gpu_source_length(int index) { return strlen(flash_gpu_source_text(index)); }
