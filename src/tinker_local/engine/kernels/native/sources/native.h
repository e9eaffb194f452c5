/* What the kernels share: sixteen float32 numbers as one value, and the exponential of them.

   The vectors are GCC's and Clang's, a register each with AVX-512. */

#ifndef TINKER_LOCAL_NATIVE_H
#define TINKER_LOCAL_NATIVE_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define LANES 16

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t integers __attribute__((vector_size(4 * LANES)));

typedef uint16_t half; /* bfloat16, the upper half of float32 */
typedef uint32_t pair; /* two of them, of neighbouring inputs */

/* Queries, keys and values of a row stand beside each other, so many heads of so many numbers. */
struct shape {
    long heads, kv_heads, width;
};

/* A matrix for few_rows.c: `groups` is inputs / 32, `block_groups` as many of them as are summed up together, and
   outputs are a multiple of sixteen. */
struct panels {
    const char *weights;
    long form, outputs, groups, block_groups;
};

/* The parts of a block of few rows, each said where it is written: few_rows.c, pointwise.c, attention.c. */
void few_rows(const struct panels *base, const struct panels *a, const struct panels *b, long layers, const float *x,
              long stride, float *low, float *y, long y_stride, int add, long rows, int threads);
void add_and_norm(float *x, const float *y, const float *weight, float eps, float *states, long rows, long width,
                  int threads);
void gated(const float *gate_and_up, float *output, long rows, long width, int threads);
void rotate_rows(float *inputs, struct shape shape, const int64_t *positions, const float *cosines,
                 const float *sines, long rows, int threads);
void write_rows(const float *inputs, struct shape shape, const int64_t *sources, const int64_t *slots, long count,
                float *keys, float *values);
void attend(const float *inputs, struct shape shape, const float *keys, const float *values, const int32_t *tables,
            const int32_t *starts, const int32_t *lengths, long longest, float *output, long rows, int threads);

static inline long least(long one, long other) { return one < other ? one : other; }

static inline floats load(const float *from) {
    floats value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void store(float *to, floats value) { memcpy(to, &value, sizeof value); }

/* bfloat16 is the upper half of float32. */
static inline floats load_half(const uint16_t *from) {
    const __m256i stored = _mm256_loadu_si256((const __m256i *)from);
    return (floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16);
}

#ifdef __AVX512BF16__
static inline __m512bh load_pairs(const pair *from) {
    __m512bh value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline __m512bh broadcast_pair(const void *from) {
    pair value;
    memcpy(&value, from, sizeof value);
    return (__m512bh)_mm512_set1_epi32(value);
}

/* Rounded to the nearest, to the even one of two. */
static inline void store_half(uint16_t *to, floats value) {
    const __m256bh rounded = _mm512_cvtneps_pbh((__m512)value);
    memcpy(to, &rounded, sizeof rounded);
}
#endif

/* Sixteen rows of sixteen 32-bit numbers the other way round. */
static inline void transpose(__m512i a[LANES]) {
    __m512i b[LANES];
    for (int i = 0; i < LANES; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        b[i] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
        b[i + 4] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
        b[i + 8] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
        b[i + 12] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        a[i] = _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88);
        a[i + 8] = _mm512_shuffle_i32x4(b[i], b[i + 8], 0xdd);
        a[i + 4] = _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0x88);
        a[i + 12] = _mm512_shuffle_i32x4(b[i + 4], b[i + 12], 0xdd);
    }
}

static inline floats broadcast(float value) { return (floats)_mm512_set1_ps(value); }

static inline floats from_integers(integers value) { return (floats)_mm512_cvtepi32_ps((__m512i)value); }

/* The sum of the lanes, always in the same order. */
static inline float sum(floats value) { return _mm512_reduce_add_ps((__m512)value); }

static inline float greatest(floats value) { return _mm512_reduce_max_ps((__m512)value); }

static inline floats larger(floats one, floats other) {
    return (floats)_mm512_max_ps((__m512)one, (__m512)other);
}

/* e to each, to about one unit in the last place; zero far below, and never infinite. What is no number stays
   none: of two operands these instructions take the second where one is not.

   x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7, whose rest is below 2^-26. */
static inline floats exponential(floats x) {
    const floats least = broadcast(-87.33654f), most = broadcast(88.37626f);
    const __mmask16 vanishes = _mm512_cmp_ps_mask((__m512)x, (__m512)least, _CMP_LT_OQ);
    x = larger(least, (floats)_mm512_min_ps((__m512)most, (__m512)x));
    const floats n = (floats)_mm512_roundscale_ps((__m512)(x * 1.44269504f), 0);
    /* ln 2 in two parts, of which the first times n is exact */
    const floats r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    floats p = broadcast(1.f / 5040);
    p = p * r + 1.f / 720;
    p = p * r + 1.f / 120;
    p = p * r + 1.f / 24;
    p = p * r + 1.f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.f;
    p = p * r + 1.f;
    const __m512 scaled = _mm512_scalef_ps((__m512)p, (__m512)n);
    return (floats)_mm512_mask_mov_ps(scaled, vanishes, _mm512_setzero_ps());
}

#endif
