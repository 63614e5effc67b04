// All kernels over the vector layer that the including file has chosen, and their table.
#include <math.h>
#include <stddef.h>

#include "blocking.inc.h"
#include "panel.inc.h"
#include "dense.inc.h"
#include "elementwise.inc.h"
#include "activations.inc.h"
#include "gradients.inc.h"
#include "cache.inc.h"
#include "attention_stretch.inc.h"
#include "attention_floats.inc.h"
#include "attention_integers.inc.h"
#include "attention.inc.h"
#include "zero_skipping.inc.h"
#include "tiled_bitmap.inc.h"
#include "tiled_csl.inc.h"
#include "sliced_ellpack.inc.h"
#include "quantized.inc.h"
#include "quantize_weights.inc.h"
#include "packing.inc.h"

#define KERNEL_TABLE(set_name, bf16_product)                                                                       \
    {                                                                                                              \
        .name = set_name, .skip_tokens = SKIP_TOKENS, .product_dense = product_dense,                              \
        .product_bf16 = bf16_product,                                                                              \
        .product_tiled_bitmap = product_tiled_bitmap, .product_tiled_csl = product_tiled_csl,                      \
        .product_sliced_ellpack = product_sliced_ellpack, .product_quantized = product_quantized,                  \
        .transpose = transpose, .transpose_matrix = transpose_matrix, .quantize = quantize, .attend = attend,      \
        .join_attention = join_attention,                                                                          \
        .append = append, .rms_norm = rms_norm, .rms_norm_heads = rms_norm_heads, .layer_norm = layer_norm,        \
        .rotate = rotate, .silu_multiply = silu_multiply, .relu = relu, .gelu = gelu, .gelu_tanh = gelu_tanh,      \
        .gelu_tanh_multiply = gelu_tanh_multiply, .soft_cap = soft_cap,                                            \
        .softmax = softmax, .add = add, .rms_norm_gradient = rms_norm_gradient,                                    \
        .layer_norm_gradient = layer_norm_gradient, .relu_gradient = relu_gradient,                                \
        .gelu_gradient = gelu_gradient, .gelu_tanh_gradient = gelu_tanh_gradient, .silu_gradient = silu_gradient,  \
        .softmax_gradient = softmax_gradient, .adam = adam, .widen = widen, .fit_scales = fit_scales,              \
        .round_weights = round_weights, .nonzero_bits = nonzero_bits, .pack_panel = pack_panel,                    \
        .pack_chunks = pack_chunks,                                                                                \
    }
