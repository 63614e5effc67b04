// Which 16-bit elements are no zeros, and the packing of a bitmap's panels: what `pack` and loading spend their time
// with. On the compiler's own vector types beside the vector layer.

// How wide vectors would be passed is no question where every function is inlined.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

#define WORD_LANES 32
typedef int16_t word_lanes __attribute__((vector_size(2 * WORD_LANES), aligned(2)));
typedef _Bool word_bits __attribute__((ext_vector_type(WORD_LANES)));

// Without the sign: a zero is 0, and what is not finite is at least the exponent of all ones.
ALWAYS_INLINE word_lanes word_magnitudes(const uint16_t *elements) {
    return *(const word_lanes *)elements & (int16_t)0x7FFF;
}

ALWAYS_INLINE uint32_t nonzero_lanes(word_lanes magnitudes) {
    const word_bits isStored = __builtin_convertvector(magnitudes != 0, word_bits);
    uint32_t bits;
    __builtin_memcpy(&bits, &isStored, sizeof bits);
    return bits;
}

static int nonzero_bits(const uint16_t *elements, int64_t count, enum flash_element element, uint64_t *bits) {
    word_lanes largest = {0};
    for (int64_t i = 0; i < count; i += 2 * WORD_LANES) {
        uint16_t tail[2 * WORD_LANES] = {0};
        const uint16_t *run = elements + i;
        if (count - i < 2 * WORD_LANES) {
            for (int64_t k = 0; k < count - i; k++) tail[k] = run[k];
            run = tail;
        }
        const word_lanes low = word_magnitudes(run), high = word_magnitudes(run + WORD_LANES);
        largest = __builtin_elementwise_max(largest, __builtin_elementwise_max(low, high));
        bits[i / 64] = nonzero_lanes(low) | (uint64_t)nonzero_lanes(high) << 32;
    }
    int16_t magnitude = 0;
    for (int k = 0; k < WORD_LANES; k++) magnitude = largest[k] > magnitude ? largest[k] : magnitude;
    return magnitude < (element == FLASH_F16 ? 0x7C00 : 0x7F80);
}

// Rows and columns of a tile of as many words as a vector of the layer holds change places: pairs of rows become
// float32 lanes, which `vec_transpose` moves.
#define TILE_WORDS (2 * LANES)
typedef uint16_t tile_lanes __attribute__((vector_size(2 * TILE_WORDS), aligned(2)));

// Words from `first` on of each part of 128 bits, those of a row and of the next in turns.
#define PAIRS_4(first) \
    (first), (first) + TILE_WORDS, (first) + 1, (first) + 1 + TILE_WORDS, (first) + 2, (first) + 2 + TILE_WORDS, \
        (first) + 3, (first) + 3 + TILE_WORDS
#if LANES == 16
#define PAIRS(first) PAIRS_4(first), PAIRS_4((first) + 8), PAIRS_4((first) + 16), PAIRS_4((first) + 24)
#elif LANES == 8
#define PAIRS(first) PAIRS_4(first), PAIRS_4((first) + 8)
#else
#define PAIRS(first) PAIRS_4(first)
#endif

// `columns[c][r] = rows[r * stride + c]`
ALWAYS_INLINE void transpose_words(
    const uint16_t *rows, int64_t stride, uint16_t (*columns)[FLASH_PANEL_ROWS]) {
    vec low[LANES], high[LANES];
    UNROLL for (int i = 0; i < LANES; i++) {
        const tile_lanes even = *(const tile_lanes *)(rows + 2 * i * stride);
        const tile_lanes odd = *(const tile_lanes *)(rows + (2 * i + 1) * stride);
        const tile_lanes first = __builtin_shufflevector(even, odd, PAIRS(0));
        const tile_lanes last = __builtin_shufflevector(even, odd, PAIRS(4));
        __builtin_memcpy(&low[i], &first, sizeof first);
        __builtin_memcpy(&high[i], &last, sizeof last);
    }
    vec_transpose(low);
    vec_transpose(high);
    UNROLL for (int i = 0; i < LANES; i++) {
        const int column = i / 4 * 8 + i % 4;
        __builtin_memcpy(columns[column], &low[i], sizeof low[i]);
        __builtin_memcpy(columns[column + 4], &high[i], sizeof high[i]);
    }
}

#ifndef HAS_COMPRESS_WORDS
// The words whose bits are set behind each other; returns where the next ones go. Writes up to 32.
ALWAYS_INLINE uint16_t *compress_words(uint32_t mask, const uint16_t *words, uint16_t *target) {
#ifdef HAS_SHUFFLE_8_WORDS
    UNROLL for (int first = 0; first < FLASH_PANEL_ROWS; first += 8) {
        const uint32_t bits = mask >> first & 0xFF;
        shuffle_8_words(bit_numbers[bits], words + first, target);
        target += __builtin_popcount(bits);
    }
#else
    UNROLL for (int i = 0; i < FLASH_PANEL_ROWS; i++) {
        *target = words[i];
        target += mask >> i & 1;
    }
#endif
    return target;
}
#endif

static int64_t pack_panel(
    const uint16_t *elements, int64_t rows, int64_t columns, uint32_t *masks, uint16_t *values, int64_t room) {
    int64_t stored = 0;
    for (int64_t first = 0; first < columns; first += TILE_WORDS) {
        const int64_t width = columns - first < TILE_WORDS ? columns - first : TILE_WORDS;
        const uint16_t *source = elements + first;
        int64_t stride = columns;
        uint16_t edge[FLASH_PANEL_ROWS][TILE_WORDS];
        if (rows < FLASH_PANEL_ROWS || width < TILE_WORDS) {
            __builtin_memset(edge, 0, sizeof edge);
            for (int64_t r = 0; r < rows; r++)
                __builtin_memcpy(edge[r], source + r * columns, (size_t)width * sizeof **edge);
            source = edge[0];
            stride = TILE_WORDS;
        }
        uint16_t tile[TILE_WORDS][FLASH_PANEL_ROWS];
        for (int r = 0; r < FLASH_PANEL_ROWS; r += TILE_WORDS)
            transpose_words(source + r * stride, stride, (uint16_t(*)[FLASH_PANEL_ROWS])(tile[0] + r));
        // Whole vectors are written: not to where the next panel's values may already be.
        uint16_t packed[(TILE_WORDS + 1) * FLASH_PANEL_ROWS], *end = packed;
        for (int64_t c = 0; c < width; c++) {
            const uint32_t mask = nonzero_lanes(word_magnitudes(tile[c]));
            masks[first + c] = mask;
            end = compress_words(mask, tile[c], end);
        }
        const int64_t count = end - packed, left = room - stored;
        if (left > 0) __builtin_memcpy(values + stored, packed, (size_t)(count < left ? count : left) * sizeof *packed);
        stored += count;
    }
    return stored;
}

// Chunks whose values are collected as words before they are stored as what they are.
#define PACKED_CHUNKS 16

// Stores collected words, of I4 into one nibble of each byte; no more than fit.
ALWAYS_INLINE void store_chunks(
    const uint16_t *words, int64_t count, const enum flash_coding coding, int isHigh, uint8_t *values, int64_t room) {
    const int64_t most = coding == FLASH_I16 ? room / 2 : room;
    if (count > most) count = most;
    if (coding == FLASH_I16) {
        if (count > 0) __builtin_memcpy(values, words, (size_t)count * sizeof *words);
    } else if (coding == FLASH_I8) {
        for (int64_t i = 0; i < count; i++) values[i] = (uint8_t)words[i];
    } else if (isHigh) {
        for (int64_t i = 0; i < count; i++) values[i] |= (uint8_t)(words[i] << 4);
    } else {
        for (int64_t i = 0; i < count; i++) values[i] |= (uint8_t)(words[i] & 15);
    }
}

ALWAYS_INLINE void pack_chunks_of(
    const int16_t *integers, int64_t stride, int64_t chunks, const enum flash_coding coding, uint8_t *masks,
    uint8_t *values, int64_t room) {
    const int width = coding == FLASH_I16 ? 2 : 4, planes = coding == FLASH_I4 ? 2 : 1;
    const int64_t value_bytes = coding == FLASH_I16 ? 2 : 1;
    // Bytes of each plane so far.
    int64_t stored[2] = {0, 0};
    for (int64_t first = 0; first < chunks; first += PACKED_CHUNKS) {
        // Whole vectors are written behind the last.
        uint16_t packed[2][(2 * PACKED_CHUNKS + 1) * WORD_LANES], *ends[2] = {packed[0], packed[1]};
        const int64_t end = chunks - first < PACKED_CHUNKS ? chunks : first + PACKED_CHUNKS;
        for (int64_t chunk = first; chunk < end; chunk++) {
            uint16_t words[2 * WORD_LANES];
            for (int row = 0; row < FLASH_QUANTIZED_ROWS; row++)
                __builtin_memcpy(
                    words + row * width, integers + row * stride + chunk * width, (size_t)width * sizeof *words);
            uint16_t **next = &ends[chunk % planes];
            for (int part = 0; part < width / 2; part++) {
                const uint16_t *half = words + part * WORD_LANES;
                uint32_t bits = 0xFFFFFFFF;
                if (masks != NULL) {
                    bits = nonzero_lanes(*(const word_lanes *)half);
                    __builtin_memcpy(masks, &bits, sizeof bits);
                    masks += sizeof bits;
                }
                *next = compress_words(bits, half, *next);
            }
        }
        for (int plane = 0; plane < planes; plane++) {
            const int64_t count = ends[plane] - packed[plane];
            store_chunks(packed[plane], count, coding, plane == 1, values + stored[plane], room - stored[plane]);
            stored[plane] += count * value_bytes;
        }
    }
}

static void pack_chunks(
    const int16_t *integers, int64_t stride, int64_t chunks, enum flash_coding coding, void *masks, uint8_t *values,
    int64_t room) {
    switch (coding) {
    case FLASH_I16: pack_chunks_of(integers, stride, chunks, FLASH_I16, masks, values, room); break;
    case FLASH_I8: pack_chunks_of(integers, stride, chunks, FLASH_I8, masks, values, room); break;
    case FLASH_I4: pack_chunks_of(integers, stride, chunks, FLASH_I4, masks, values, room); break;
    }
}

#pragma clang diagnostic pop
