// What kernels over all vector layers cut their work into pieces with.

// A vector layer whose vectors are no registers defines these itself.
#ifndef UNROLL
#define ALWAYS_INLINE static inline __attribute__((always_inline))
// Accumulators live in registers only if every loop over them is unrolled completely.
#define UNROLL _Pragma("clang loop unroll(full)")
#endif

#define PANEL_PARTS (FLASH_PANEL_ROWS / LANES)

ALWAYS_INLINE void store_panel_part(float *target, vec sum, int64_t rows, int accumulate) {
    if (rows >= LANES) {
        vec_store(target, accumulate ? vec_add(vec_load(target), sum) : sum);
    } else if (rows > 0) {
        vec_store_part(target, accumulate ? vec_add(vec_load_part(target, rows), sum) : sum, rows);
    }
}

// `count` in as few groups as a limit allows, about equal: a group of one or two tokens has too few independent sums to
// keep the multipliers busy.
ALWAYS_INLINE int64_t even_group(int64_t count, int64_t limit) {
    if (count <= limit) return count;
    const int64_t groups = (count + limit - 1) / limit;
    return (count + groups - 1) / groups;
}
