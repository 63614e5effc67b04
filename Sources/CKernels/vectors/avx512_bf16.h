// What AVX-512 BF16 adds to the vector layer: a lane of 32 bits holds a pair of bf16.

// Two vectors, rounded to nearest even; neighbours become pairs. Subnormal numbers become zeros.
static inline ivec vec_round_pairs(vec low, vec high) { return (ivec)_mm512_cvtne2ps_pbh(high, low); }
static inline vec vec_from_pairs(ivec pairs) { return _mm512_castsi512_ps(pairs); }
// sum + the products of the pairs' members
static inline vec vec_dot_pairs(vec sum, ivec a, ivec b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
