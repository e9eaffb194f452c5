/* Scores of rows over the vocabulary: what e to them adds up to, and the best of them.

   A row is computed by one thread, in one order, so that it comes out alike in any company. */

#include <math.h>

#include "native.h"

#define CHUNKS 16
#define GROUPS (CHUNKS * LANES) /* of which the greatest are looked at: several times as many as are asked for */

/* Up to sixteen numbers; behind the last one stands the least there is. */
static inline floats load_some(const float *from, long count) {
    if (count >= LANES) return load(from);
    return (floats)_mm512_mask_loadu_ps(_mm512_set1_ps(-INFINITY), (__mmask16)((1u << count) - 1), from);
}

static float peak_of(const float *scores, long width) {
    floats most = broadcast(-INFINITY);
    for (long i = 0; i < width; i += LANES) most = larger(load_some(scores + i, width - i), most);
    return greatest(most);
}

/* The sum of e to (score - peak) / temperature; no number where a score is none. */
static float mass_of(const float *scores, long width, float peak, float temperature) {
    floats total = broadcast(0);
    if (temperature == 1)
        for (long i = 0; i < width; i += LANES) total += exponential(load_some(scores + i, width - i) - peak);
    else
        for (long i = 0; i < width; i += LANES)
            total += exponential((load_some(scores + i, width - i) - peak) / temperature);
    return sum(total);
}

/* The logarithm of the sum of e to each score of a row. */
void log_sums(const float *scores, float *sums, long rows, long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        const float *mine = scores + row * width, peak = peak_of(mine, width);
        sums[row] = peak + logf(mass_of(mine, width, peak, 1));
    }
}

/* The place of the greatest, the first of equals; what is no number is never it. */
static long place_of_greatest(const float *values, long count) {
    const __m512 found = _mm512_set1_ps(peak_of(values, count));
    for (long i = 0; i < count; i += LANES) {
        const __m512 here = (__m512)load_some(values + i, count - i);
        const __mmask16 equal = _mm512_cmp_ps_mask(here, found, _CMP_EQ_OQ);
        if (equal) return i + __builtin_ctz(equal);
    }
    return 0;
}

/* None of the best `count` is below this: the least of the `count` greatest that are each of another group. */
static float bound(const float *scores, long width, long count) {
    const long chunk = (width + GROUPS - 1) / GROUPS * LANES;
    float most[GROUPS], found = -INFINITY;
    for (long number = 0; number < CHUNKS; number++) {
        const long end = (number + 1) * chunk < width ? (number + 1) * chunk : width;
        floats so_far = broadcast(-INFINITY);
        for (long i = number * chunk; i < end; i += LANES) so_far = larger(load_some(scores + i, end - i), so_far);
        store(most + number * LANES, so_far);
    }
    for (long i = 0; i < count; i++) {
        const long place = place_of_greatest(most, GROUPS);
        found = most[place];
        most[place] = NAN;
    }
    return found;
}

/* The scores that are not below the bound and their places, one after another; how many there are. */
static long gathered(const float *scores, long width, float bound, float *values, int32_t *places) {
    integers place = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    long count = 0;
    for (long i = 0; i < width; i += LANES, place += LANES) {
        const __m512 here = (__m512)load_some(scores + i, width - i);
        __mmask16 enough = _mm512_cmp_ps_mask(here, _mm512_set1_ps(bound), _CMP_GE_OQ);
        if (width - i < LANES) enough &= (__mmask16)((1u << (width - i)) - 1);
        if (!enough) continue;
        _mm512_storeu_ps(values + count, _mm512_maskz_compress_ps(enough, here));
        _mm512_storeu_si512(places + count, _mm512_maskz_compress_epi32(enough, (__m512i)place));
        count += __builtin_popcount(enough);
    }
    return count;
}

/* Of each row its best `count`, at most GROUPS and width, the greatest first and of equals the first, and their
   places; the sum of e to (score - best) / temperature; the logarithm of the sum of e to each score. In a row
   where something is no number that logarithm is none, and the rest means nothing. `values` and `numbers` are
   room [rows, width + 16], of which little is touched. */
void likeliest(const float *scores, const float *temperatures, long count, float *best, int32_t *places,
               float *masses, float *sums, float *values, int32_t *numbers, long rows, long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        const float *mine = scores + row * width, peak = peak_of(mine, width), whole = mass_of(mine, width, peak, 1);
        float *value = values + row * (width + LANES);
        int32_t *number = numbers + row * (width + LANES);
        sums[row] = peak + logf(whole);
        masses[row] = temperatures[row] == 1 ? whole : mass_of(mine, width, peak, temperatures[row]);
        const long candidates = gathered(mine, width, bound(mine, width, count), value, number);
        for (long i = 0; i < count; i++) {
            const long chosen = place_of_greatest(value, candidates);
            best[row * count + i] = i < candidates ? value[chosen] : NAN;
            places[row * count + i] = i < candidates ? number[chosen] : 0;
            value[chosen] = NAN;
        }
    }
}

/* What is left of a row when its best are taken away: of the scores that equal the `least` of them, those behind
   the place `behind`, and all below. */
struct rest {
    const float *scores;
    long width, behind;
    float peak, temperature, least;
};

/* e to (score - peak) / temperature of what is left of the sixteen scores from here on, and zeros. */
static inline floats masses_left(const struct rest *of, long first) {
    const integers places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const floats here = load_some(of->scores + first, of->width - first);
    const __m512 least = _mm512_set1_ps(of->least);
    const __mmask16 below = _mm512_cmp_ps_mask((__m512)here, least, _CMP_LT_OQ);
    const __mmask16 equal = _mm512_cmp_ps_mask((__m512)here, least, _CMP_EQ_OQ);
    const __m512i behind = _mm512_set1_epi32((int)(of->behind - first));
    const __mmask16 later = _mm512_cmpgt_epi32_mask((__m512i)places, behind);
    const __m512 masses = (__m512)exponential((here - of->peak) / of->temperature);
    return (floats)_mm512_maskz_mov_ps(below | (equal & later), masses);
}

/* Find the place whose part of these masses, in the order of the vocabulary, holds `point`: the last one that has any
   if they come to less, and `behind` if there are none. */
void place_at(const float *scores, long width, float peak, float temperature, float least, long behind,
              double point, long *found) {
    const struct rest of = {scores, width, behind, peak, temperature, least};
    long sixteen = -1;
    double before = 0, through = 0;
    *found = behind;
    for (long i = 0; i < width; i += LANES) {
        const double all = sum(masses_left(&of, i));
        if (all == 0) continue;
        sixteen = i;
        before = through;
        through += all;
        if (through > point) break;
    }
    if (sixteen < 0) return;
    const floats masses = masses_left(&of, sixteen);
    for (long i = 0; i < LANES; i++) {
        if (masses[i] == 0) continue;
        *found = sixteen + i;
        if ((before += masses[i]) > point) break;
    }
}
