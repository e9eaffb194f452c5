/* Rotary embedding, and attention to keys and values in pages of sixteen tokens.

   Values of a page are [16 tokens, kv_heads, width]; its keys are [kv_heads, width, 16 tokens], so that a
   query meets sixteen keys at once. Queries, keys and values of a row stand beside each other. */

#include <math.h>
#include <stdlib.h>

#include "native.h"

#define PAGE LANES
#define ALONE 8 /* rows that one thread has done before another has come */

/* Turn a head by the angles of its position, in the half-split layout. */
static void rotate(float *head, const float *cosines, const float *sines, long width) {
    for (long i = 0; i < width / 2; i++) {
        const float first = head[i], second = head[i + width / 2];
        head[i] = first * cosines[i] - second * sines[i];
        head[i + width / 2] = second * cosines[i] + first * sines[i];
    }
}

/* Rotate queries and keys of all rows in place; `cosines` and `sines` are tables [positions, width]. */
void rotate_rows(float *inputs, struct shape shape, const int64_t *positions, const float *cosines,
                 const float *sines, long rows, int threads) {
    const long stride = (shape.heads + 2 * shape.kv_heads) * shape.width;
#pragma omp parallel for num_threads(threads) schedule(static) if (rows > ALONE)
    for (long row = 0; row < rows; row++) {
        const long angle = positions[row] * shape.width;
        for (long head = 0; head < shape.heads + shape.kv_heads; head++)
            rotate(inputs + row * stride + head * shape.width, cosines + angle, sines + angle, shape.width);
    }
}

/* Write keys and values of rows to slots, page * 16 + offset; a row may have several slots. */
void write_rows(const float *inputs, struct shape shape, const int64_t *sources, const int64_t *slots,
                long count, float *keys, float *values) {
    const long stride = (shape.heads + 2 * shape.kv_heads) * shape.width, all = shape.kv_heads * shape.width;
    for (long i = 0; i < count; i++) {
        const float *row = inputs + sources[i] * stride + shape.heads * shape.width;
        float *column = keys + slots[i] / PAGE * PAGE * all + slots[i] % PAGE;
        for (long j = 0; j < all; j++) column[j * PAGE] = row[j];
        memcpy(values + slots[i] * all, row + all, all * sizeof *values);
    }
}

/* Scores of a query with all keys, then e to each less the greatest; returns the sum of these. */
static float weigh(const float *query, const float *keys, struct shape shape, const int32_t *pages,
                   long length, float scale, float *weights) {
    floats most = broadcast(-INFINITY);
    for (long first = 0; first < length; first += PAGE) {
        const float *page = keys + pages[first / PAGE] * PAGE * shape.kv_heads * shape.width;
        floats scores[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
        for (long i = 0; i < shape.width; i += 4)
            for (int part = 0; part < 4; part++) scores[part] += query[i + part] * load(page + (i + part) * PAGE);
        floats score = ((scores[0] + scores[1]) + (scores[2] + scores[3])) * scale;
        if (length - first < PAGE) {
            const __mmask16 known = (1u << (length - first)) - 1;
            score = (floats)_mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), known, (__m512)score);
        }
        most = larger(most, score);
        store(weights + first, score);
    }
    const floats greatest_score = broadcast(greatest(most));
    floats total = broadcast(0);
    for (long first = 0; first < length; first += PAGE) {
        const floats weight = exponential(load(weights + first) - greatest_score);
        store(weights + first, weight);
        total += weight;
    }
    return sum(total);
}

/* The weighted mean of `parts` times sixteen numbers of each value. */
static inline __attribute__((always_inline)) void gather(const float *values, const int parts, long all,
                                                         const int32_t *pages, long length,
                                                         const float *weights, float total, float *output) {
    floats sums[4];
    for (int part = 0; part < parts; part++) sums[part] = broadcast(0);
    for (long first = 0; first < length; first += PAGE) {
        const float *page = values + pages[first / PAGE] * PAGE * all;
        const long known = length - first < PAGE ? length - first : PAGE;
        for (long token = 0; token < known; token++)
            for (int part = 0; part < parts; part++)
                sums[part] += weights[first + token] * load(page + token * all + part * LANES);
    }
    for (int part = 0; part < parts; part++) store(output + part * LANES, sums[part] / total);
}

/* What each row gathers, [rows, heads * width], from the first `lengths[row]` tokens of its sequence, whose
   pages stand in `tables` from `starts[row]` on. Width is a multiple of sixteen. */
void attend(const float *inputs, struct shape shape, const float *keys, const float *values,
            const int32_t *tables, const int32_t *starts, const int32_t *lengths, long longest, float *output,
            long rows, int threads) {
    const long stride = (shape.heads + 2 * shape.kv_heads) * shape.width, all = shape.kv_heads * shape.width;
    const long shared = shape.heads / shape.kv_heads;
    const float scale = 1 / sqrtf(shape.width);
#pragma omp parallel num_threads(threads) if (rows * longest > 128 * ALONE)
    {
        float *weights = malloc((longest + PAGE) * sizeof *weights);
#pragma omp for schedule(static)
        for (long task = 0; task < rows * shape.heads; task++) {
            const long row = task / shape.heads, head = task % shape.heads, key_head = head / shared;
            const int32_t *pages = tables + starts[row];
            const long length = lengths[row];
            const float *query = inputs + row * stride + head * shape.width;
            const float total = weigh(query, keys + key_head * shape.width * PAGE, shape, pages, length, scale, weights);
            float *gathered = output + (row * shape.heads + head) * shape.width;
            const float *mine = values + key_head * shape.width;
            long i = 0;
            for (; i + 4 * LANES <= shape.width; i += 4 * LANES)
                gather(mine + i, 4, all, pages, length, weights, total, gathered + i);
            for (; i < shape.width; i += LANES)
                gather(mine + i, 1, all, pages, length, weights, total, gathered + i);
        }
        free(weights);
    }
}
