// Products with sliced ELLPACK. Written once over the vector layer and the compiler's vector types; included by each
// instruction set.
//
// One token: lanes are rows, each picks its own activation. More tokens: the activations are turned so that the tokens
// of a column lie side by side, and a stored value is one broadcast and one multiply-add with them, which skips the
// zeros of every row. Either way a row's sum is added up in the order of its columns, so an output does not depend on
// how many tokens or threads there are.

typedef float floats4 __attribute__((vector_size(16)));
typedef float floats8 __attribute__((vector_size(32)));
typedef float floats16 __attribute__((vector_size(64)));

#ifndef FUSED_MULTIPLY_ADD
#define FUSED_MULTIPLY_ADD(a, b, c) __builtin_elementwise_fma(a, b, c)
#endif

// Keeps the compiler from taking a number back out of a register or a vector apart: it would vectorise the scalar
// columns, and bring them back from vector registers at one a cycle.
#ifndef KEEP_SCALAR
#define KEEP_SCALAR(a) __asm__("" : "+r"(a))
#endif
#ifndef KEEP_VECTOR
#define KEEP_VECTOR(a)
#endif

#ifndef HAS_WIDEN_PARTS
static inline floats4 widen_4(const uint16_t *p, enum flash_element element) {
    floats4 a;
    for (int i = 0; i < 4; i++) a[i] = flash_widen_one(p[i], element);
    return a;
}
#define widen_8(p, element)                                                                                        \
    __builtin_shufflevector(widen_4(p, element), widen_4((p) + 4, element), 0, 1, 2, 3, 4, 5, 6, 7)
#endif

// ---- One token ------------------------------------------------------------------------------------------------------

// The sums of a slice's 16 lanes. Prefetches 128 steps ahead: about 400 ns, the latency of memory.
#ifdef HAS_GATHER_16
ALWAYS_INLINE void slice_one_token_gathering(
    const uint8_t *deltas, const uint16_t *values, const enum flash_element element, int64_t steps, const float *input,
    float *sums) {
    ivec columns = ivec_zero();
    vec sum = vec_zero();
    for (int64_t i = 0; i < steps * FLASH_SLICE_ROWS; i += FLASH_SLICE_ROWS) {
        __builtin_prefetch(deltas + i + 128 * FLASH_SLICE_ROWS);
        __builtin_prefetch(values + i + 128 * FLASH_SLICE_ROWS);
        columns = ivec_add_bytes(columns, deltas + i);
        sum = vec_fma(vec_gather(input, columns), vec_load_element(values, i, element), sum);
    }
    vec_store(sums, sum);
}
#else
#define gathers_fast() 0
#define slice_one_token_gathering slice_one_token
#endif

// Eight lanes at a time: their columns fit into general registers, where adding a delta is one load and one addition.
// On Zen 4 this takes 0.9 cycles a value; AVX2's gather instruction takes 1.3.
ALWAYS_INLINE void slice_one_token(
    const uint8_t *deltas, const uint16_t *values, const enum flash_element element, int64_t steps, const float *input,
    float *sums) {
    for (int half = 0; half < FLASH_SLICE_ROWS; half += 8) {
        uint64_t columns[8] = {0};
        floats8 sum = {0};
        for (int64_t i = half; i < steps * FLASH_SLICE_ROWS; i += FLASH_SLICE_ROWS) {
            __builtin_prefetch(deltas + i + 128 * FLASH_SLICE_ROWS);
            __builtin_prefetch(values + i + 128 * FLASH_SLICE_ROWS);
            UNROLL for (int lane = 0; lane < 8; lane++) columns[lane] += deltas[i + lane];
            const floats8 picked = {input[columns[0]], input[columns[1]], input[columns[2]], input[columns[3]],
                                    input[columns[4]], input[columns[5]], input[columns[6]], input[columns[7]]};
            sum = FUSED_MULTIPLY_ADD(picked, widen_8(values + i, element), sum);
        }
        __builtin_memcpy(sums + half, &sum, sizeof sum);
    }
}

// ---- More tokens ----------------------------------------------------------------------------------------------------

// Four weights, repeated in every quarter of a vector: a broadcast is then one shuffle within quarters.
#define REPEAT_4(w) (w)
#define REPEAT_8(w) __builtin_shufflevector(w, w, 0, 1, 2, 3, 0, 1, 2, 3)
#define REPEAT_16(w) __builtin_shufflevector(w, w, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3)
#define SPLAT_4(w, n) __builtin_shufflevector(w, w, n, n, n, n)
#define SPLAT_8(w, n) __builtin_shufflevector(w, w, n, n, n, n, n + 4, n + 4, n + 4, n + 4)
#define SPLAT_16(w, n)                                                                                             \
    __builtin_shufflevector(                                                                                       \
        w, w, n, n, n, n, n + 4, n + 4, n + 4, n + 4, n + 8, n + 8, n + 8, n + 8, n + 12, n + 12, n + 12, n + 12)

// Defines slice_N_tokens: the sums `[16, N]` of a slice's lanes for N tokens from `inputs` `[columns, N]`, which is
// aligned to N elements. N = WIDTH * VECTORS; ROWS lanes at a time, so that sums and columns stay in registers.
#define DEFINE_SLICE_TOKENS(N, WIDTH, VECTORS, ROWS)                                                               \
    ALWAYS_INLINE void slice_##N##_tokens(                                                                         \
        const uint8_t *deltas, const uint16_t *values, const enum flash_element element, int64_t steps,            \
        const float *inputs, float *output) {                                                                      \
        for (int first = 0; first < FLASH_SLICE_ROWS; first += ROWS) {                                             \
            floats##WIDTH sums[ROWS][VECTORS] = {0};                                                               \
            uint64_t places[ROWS] = {0};  /* in units of two elements: the address scales by eight */              \
            for (int64_t i = first; i < steps * FLASH_SLICE_ROWS; i += FLASH_SLICE_ROWS) {                         \
                __builtin_prefetch(deltas + i + 64 * FLASH_SLICE_ROWS);                                            \
                __builtin_prefetch(values + i + 64 * FLASH_SLICE_ROWS);                                            \
                UNROLL for (int quad = 0; quad < ROWS; quad += 4) {                                                \
                    const floats4 narrow = widen_4(values + i + quad, element);                                    \
                    floats##WIDTH weights = REPEAT_##WIDTH(narrow);                                                \
                    KEEP_VECTOR(weights);                                                                          \
                    SLICE_ROW(N, WIDTH, VECTORS, quad, 0)                                                          \
                    SLICE_ROW(N, WIDTH, VECTORS, quad, 1)                                                          \
                    SLICE_ROW(N, WIDTH, VECTORS, quad, 2)                                                          \
                    SLICE_ROW(N, WIDTH, VECTORS, quad, 3)                                                          \
                }                                                                                                  \
            }                                                                                                      \
            __builtin_memcpy(output + first * N, sums, sizeof sums);                                               \
        }                                                                                                          \
    }

#define SLICE_ROW(N, WIDTH, VECTORS, quad, n)                                                                      \
    {                                                                                                              \
        places[quad + n] += (uint64_t)deltas[i + quad + n] * (N / 2);                                              \
        KEEP_SCALAR(places[quad + n]);                                                                             \
        const floats##WIDTH *column =                                                                              \
            (const floats##WIDTH *)__builtin_assume_aligned(inputs + places[quad + n] * 2, 4 * WIDTH);             \
        const floats##WIDTH weight = SPLAT_##WIDTH(weights, n);                                                    \
        UNROLL for (int v = 0; v < VECTORS; v++)                                                                   \
            sums[quad + n][v] = FUSED_MULTIPLY_ADD(weight, column[v], sums[quad + n][v]);                          \
    }

// Sums and columns in registers: 16 vector registers on AVX2, 32 else.
#if LANES == 16
DEFINE_SLICE_TOKENS(4, 4, 1, 8)
DEFINE_SLICE_TOKENS(8, 8, 1, 8)
DEFINE_SLICE_TOKENS(16, 16, 1, 8)
#elif LANES == 8
DEFINE_SLICE_TOKENS(4, 4, 1, 8)
DEFINE_SLICE_TOKENS(8, 8, 1, 8)
DEFINE_SLICE_TOKENS(16, 8, 2, 4)
#else
DEFINE_SLICE_TOKENS(4, 4, 1, 8)
DEFINE_SLICE_TOKENS(8, 4, 2, 4)
DEFINE_SLICE_TOKENS(16, 4, 4, 4)
#endif

// `[tokens, columns]` to `[columns, width]`, zeros where there is no token.
ALWAYS_INLINE void turn_inputs(
    const float *input, int64_t stride, int64_t columns, int64_t tokens, int64_t width, float *turned) {
    for (int64_t t = 0; t < width; t += 4) {
        int64_t k = 0;
        if (t + 4 <= tokens) {
            for (; k + 4 <= columns; k += 4) {
                floats4 a, b, c, d;
                __builtin_memcpy(&a, input + t * stride + k, sizeof a);
                __builtin_memcpy(&b, input + (t + 1) * stride + k, sizeof b);
                __builtin_memcpy(&c, input + (t + 2) * stride + k, sizeof c);
                __builtin_memcpy(&d, input + (t + 3) * stride + k, sizeof d);
                const floats4 ac_low = __builtin_shufflevector(a, c, 0, 4, 1, 5);
                const floats4 ac_high = __builtin_shufflevector(a, c, 2, 6, 3, 7);
                const floats4 bd_low = __builtin_shufflevector(b, d, 0, 4, 1, 5);
                const floats4 bd_high = __builtin_shufflevector(b, d, 2, 6, 3, 7);
                floats4 *target = (floats4 *)(turned + k * width + t);
                target[0] = __builtin_shufflevector(ac_low, bd_low, 0, 4, 1, 5);
                target[width / 4] = __builtin_shufflevector(ac_low, bd_low, 2, 6, 3, 7);
                target[width / 2] = __builtin_shufflevector(ac_high, bd_high, 0, 4, 1, 5);
                target[width / 4 * 3] = __builtin_shufflevector(ac_high, bd_high, 2, 6, 3, 7);
            }
        }
        for (; k < columns; k++) {
            for (int64_t i = t; i < t + 4; i++) turned[k * width + i] = i < tokens ? input[i * stride + k] : 0;
        }
    }
}

// The sums `[16, width]` of a slice's lanes to their rows. Not inlined: unrolled it would be most of the code.
__attribute__((noinline)) static void scatter_sums(
    const struct flash_sliced_ellpack *matrix, int64_t slice, const float *sums, int64_t width, float *output,
    int64_t output_stride, int64_t tokens) {
    const int64_t window = slice * FLASH_SLICE_ROWS / FLASH_WINDOW_ROWS * FLASH_WINDOW_ROWS;
    for (int64_t lane = 0; lane < FLASH_SLICE_ROWS; lane++) {
        const int64_t row = window + matrix->lane_rows[slice * FLASH_SLICE_ROWS + lane];
        if (row >= matrix->rows) continue;
        for (int64_t t = 0; t < tokens; t++) output[t * output_stride + row] = sums[lane * width + t];
    }
}

// Slices of whole windows for up to `width` tokens, 1, 4, 8 or 16; `input` is `[columns, width]` unless that is 1.
ALWAYS_INLINE void slices_tokens(
    const struct flash_sliced_ellpack *matrix, const enum flash_element element, int64_t first_slice,
    int64_t end_slice, const float *input, const int64_t width, float *output, int64_t output_stride, int64_t tokens) {
    for (int64_t slice = first_slice; slice < end_slice; slice++) {
        const int64_t first_step = matrix->slice_offsets[slice];
        const int64_t steps = matrix->slice_offsets[slice + 1] - first_step;
        const uint8_t *deltas = matrix->deltas + first_step * FLASH_SLICE_ROWS;
        const uint16_t *values = matrix->values + first_step * FLASH_SLICE_ROWS;
        float sums[FLASH_SLICE_ROWS * 16] __attribute__((aligned(64)));
        switch (width) {
        case 1:
            if (gathers_fast()) {
                slice_one_token_gathering(deltas, values, element, steps, input, sums);
            } else {
                slice_one_token(deltas, values, element, steps, input, sums);
            }
            break;
        case 4: slice_4_tokens(deltas, values, element, steps, input, sums); break;
        case 8: slice_8_tokens(deltas, values, element, steps, input, sums); break;
        default: slice_16_tokens(deltas, values, element, steps, input, sums);
        }
        scatter_sums(matrix, slice, sums, width, output, output_stride, tokens);
    }
}

ALWAYS_INLINE void sliced_rows(
    const struct flash_sliced_ellpack *matrix, const enum flash_element element, int64_t first_row, int64_t end_row,
    const struct flash_operands *operands) {
    const int64_t first_slice = first_row / FLASH_SLICE_ROWS;
    const int64_t end_slice = (end_row + FLASH_SLICE_ROWS - 1) / FLASH_SLICE_ROWS;
    const int64_t columns = matrix->columns, fitting = FLASH_SCRATCH_BYTES / (int64_t)sizeof(float) / columns;
    int64_t t = 0;
    while (t < operands->tokens) {
        const int64_t rest = operands->tokens - t;
        int64_t width = rest == 1 ? 1 : rest <= 4 ? 4 : rest <= 8 ? 8 : 16;
        while (width > 1 && width > fitting) width = width == 4 ? 1 : width / 2;
        const int64_t tokens = rest < width ? rest : width;
        const float *input = operands->input + t * operands->input_stride;
        float *output = operands->output + t * operands->output_stride;
        if (width > 1) {
            turn_inputs(input, operands->input_stride, columns, tokens, width, operands->scratch);
            input = operands->scratch;
        }
        switch (width) {
        case 1:
            slices_tokens(matrix, element, first_slice, end_slice, input, 1, output, operands->output_stride, tokens);
            break;
        case 4:
            slices_tokens(matrix, element, first_slice, end_slice, input, 4, output, operands->output_stride, tokens);
            break;
        case 8:
            slices_tokens(matrix, element, first_slice, end_slice, input, 8, output, operands->output_stride, tokens);
            break;
        default:
            slices_tokens(matrix, element, first_slice, end_slice, input, 16, output, operands->output_stride, tokens);
        }
        t += tokens;
    }
}

static void product_sliced_ellpack(
    const struct flash_sliced_ellpack *matrix, int64_t first_row, int64_t end_row,
    const struct flash_operands *operands) {
    if (matrix->element == FLASH_F16) {
        sliced_rows(matrix, FLASH_F16, first_row, end_row, operands);
    } else {
        sliced_rows(matrix, FLASH_BF16, first_row, end_row, operands);
    }
}
