// The key-value cache: where a block's keys and values lie (CKernels.h has the layout), and storing them.

ALWAYS_INLINE int64_t cache_element_bytes(const enum flash_cache_type type) {
    return type == FLASH_CACHE_F32 ? 4 : type == FLASH_CACHE_F16 ? 2 : 1;
}
// Elements that a head takes: int8 comes in pairs.
ALWAYS_INLINE int64_t cache_width(const struct flash_cache_layer *cache, const enum flash_cache_type type) {
    return type == FLASH_CACHE_I8 ? (cache->head_width + 1) / 2 * 2 : cache->head_width;
}
// The elements of 16 tokens of a head, without their scales.
ALWAYS_INLINE int64_t cache_elements_bytes(const struct flash_cache_layer *cache, const enum flash_cache_type type) {
    return FLASH_BLOCK_TOKENS * cache_width(cache, type) * cache_element_bytes(type);
}
ALWAYS_INLINE int64_t cache_head_bytes(const struct flash_cache_layer *cache, const enum flash_cache_type type) {
    const int64_t scales = type == FLASH_CACHE_I8 ? FLASH_BLOCK_TOKENS * (int64_t)sizeof(float) : 0;
    return cache_elements_bytes(cache, type) + scales;
}
ALWAYS_INLINE char *cache_keys(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, int64_t block, int64_t kv_head) {
    const int64_t place = kv_head * 2 * FLASH_SUPERBLOCK + block % FLASH_SUPERBLOCK;
    return (char *)cache->layer + block / FLASH_SUPERBLOCK * cache->superblock_stride +
           place * cache_head_bytes(cache, type);
}
// The values that belong to a block's `keys`.
ALWAYS_INLINE char *cache_values(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, const char *keys) {
    return (char *)keys + FLASH_SUPERBLOCK * cache_head_bytes(cache, type);
}
// The scales behind a head's 16 tokens, of int8 only.
ALWAYS_INLINE float *cache_scales(const struct flash_cache_layer *cache, const char *head) {
    return (float *)(head + cache_elements_bytes(cache, FLASH_CACHE_I8));
}

// Stores one head's elements: i at `i / 2 * pair_stride + i % 2 * stride`. The scale is for int8 alone.
ALWAYS_INLINE void store_cached(
    char *target, const enum flash_cache_type type, int64_t pair_stride, int64_t stride, const float *elements,
    int64_t width, float *scale) {
    if (type == FLASH_CACHE_F32) {
        for (int64_t i = 0; i < width; i++)
            ((float *)target)[i / 2 * pair_stride + i % 2 * stride] = elements[i];
        return;
    }
    float factor = 1;
    if (type == FLASH_CACHE_I8) {
        float magnitude = 0, check = 0;
        for (int64_t i = 0; i < width; i++) {
            const float x = fabsf(elements[i]);
            if (x > magnitude) magnitude = x;
            check += elements[i] * 0;  // NaN if there is a NaN or an infinity
        }
        // So that broken values show. Below 1e-35 the factor would overflow.
        *scale = check == 0 ? (magnitude >= 1e-35f ? magnitude / 127 : 0) : NAN;
        factor = *scale > 0 ? 127 / magnitude : 0;
    }
    for (int64_t i = 0; i < width; i += LANES) {
        const int64_t part = width - i < LANES ? width - i : LANES;
        const vec x = load_up_to(elements + i, part);
        if (type == FLASH_CACHE_F16) {
            uint16_t bits[LANES];
            vec_store_f16(bits, x);
            for (int64_t lane = 0; lane < part; lane++)
                ((uint16_t *)target)[(i + lane) / 2 * pair_stride + lane % 2 * stride] = bits[lane];
        } else {
            int8_t bytes[LANES] = {0};
            if (factor > 0) vec_store_i8(bytes, vec_round(vec_mul(x, vec_broadcast(factor))));
            for (int64_t lane = 0; lane < part; lane++)
                ((int8_t *)target)[(i + lane) / 2 * pair_stride + lane % 2 * stride] = bytes[lane];
        }
    }
}

ALWAYS_INLINE void append_cached(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, int64_t block, int64_t slot,
    const float *keys, const float *values) {
    const int64_t width = cache->head_width, size = cache_element_bytes(type);
    const int is_paired = type == FLASH_CACHE_I8;
    for (int64_t head = 0; head < cache->kv_heads; head++) {
        char *key = cache_keys(cache, type, block, head), *value = cache_values(cache, type, key);
        float *key_scale = is_paired ? cache_scales(cache, key) + slot : NULL;
        float *value_scale = is_paired ? cache_scales(cache, value) + slot : NULL;
        const float *key_elements = keys + head * width, *value_elements = values + head * width;
        if (is_paired) {
            key += slot * 2;
            value += slot / 2 * 2 * cache_width(cache, type) + slot % 2;
            store_cached(key, type, 2 * FLASH_BLOCK_TOKENS, 1, key_elements, width, key_scale);
            store_cached(value, type, 4, 2, value_elements, width, value_scale);
        } else {
            key += slot * size;
            value += slot * width * size;
            store_cached(key, type, 2 * FLASH_BLOCK_TOKENS, FLASH_BLOCK_TOKENS, key_elements, width, key_scale);
            store_cached(value, type, 2, 1, value_elements, width, value_scale);
        }
    }
}

static void append(
    const struct flash_cache_layer *cache, int64_t block, int64_t slot, const float *keys, const float *values) {
    switch (cache->type) {
        case FLASH_CACHE_F32: append_cached(cache, FLASH_CACHE_F32, block, slot, keys, values); break;
        case FLASH_CACHE_F16: append_cached(cache, FLASH_CACHE_F16, block, slot, keys, values); break;
        case FLASH_CACHE_I8: append_cached(cache, FLASH_CACHE_I8, block, slot, keys, values); break;
    }
}
