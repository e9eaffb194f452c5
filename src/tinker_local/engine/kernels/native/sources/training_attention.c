/* Causal attention over whole sequences in training, forwards and backwards.

   A head of a sequence is taken four queries at a time. What is in bfloat16 is multiplied in pairs, as in
   low_rank.c, and weights and their gradients, which are not, in float32. Nothing of it is kept but the
   logarithm of each query's sum, from which the probabilities come again in the backward pass (Dao et al.
   2022, arXiv:2205.14135). Rows lie as in memory of the model: queries, keys and values beside each other. */

#include <math.h>
#include <stdlib.h>

#include "native.h"

#define QUERIES 4
#define CHUNK (4 * LANES) /* numbers of a head that are taken together; its width is a multiple */

static long rounded_up(long count) { return (count + 2 * LANES - 1) / (2 * LANES) * (2 * LANES); }

/* [padded, width] in float32, from rows `stride` apart, with zeros behind. */
static void widen(const half *from, long stride, long length, long width, float *to, long padded) {
    for (long row = 0; row < length; row++)
        for (long i = 0; i < width; i += LANES) store(to + row * width + i, load_half(from + row * stride + i));
    memset(to + length * width, 0, (padded - length) * width * sizeof *to);
}

/* Rows the other way round in pairs of neighbouring numbers, [width / 2, padded], with zeros behind. */
static void pair_across(const half *from, long stride, long length, long width, pair *to, long padded) {
    for (long row = 0; row < padded; row += LANES)
        for (long i = 0; i < width / 2; i += LANES) {
            __m512i lines[LANES];
            for (long line = 0; line < LANES; line++)
                lines[line] = row + line < length ? _mm512_loadu_si512(from + (row + line) * stride + 2 * i)
                                                  : _mm512_setzero_si512();
            transpose(lines);
            for (long line = 0; line < LANES; line++)
                _mm512_storeu_si512(to + (i + line) * padded + row, lines[line]);
        }
}

/* Four rows of a sequence from `first` on, of which the last may be missing: then the one before again. */
static void four_rows(const half *from, long stride, long first, long length, const half **rows) {
    for (long i = 0; i < QUERIES; i++) rows[i] = from + (first + i < length ? first + i : length - 1) * stride;
}

/* Products of four rows with the columns of [width, padded], in pairs, up to `end` columns, times `scale`. */
static void rows_by_columns(const half *const *rows, const pair *columns, long width, long padded, long end,
                            float scale, float *products) {
    for (long column = 0; column < end; column += 2 * LANES) {
        __m512 sums[QUERIES][2];
        for (int row = 0; row < QUERIES; row++) sums[row][0] = sums[row][1] = _mm512_setzero_ps();
        for (long i = 0; i < width / 2; i++) {
            const __m512bh first = load_pairs(columns + i * padded + column);
            const __m512bh second = load_pairs(columns + i * padded + column + LANES);
            for (int row = 0; row < QUERIES; row++) {
                const __m512bh value = broadcast_pair(rows[row] + 2 * i);
                sums[row][0] = _mm512_dpbf16_ps(sums[row][0], value, first);
                sums[row][1] = _mm512_dpbf16_ps(sums[row][1], value, second);
            }
        }
        for (int row = 0; row < QUERIES; row++) {
            store(products + row * padded + column, (floats)sums[row][0] * scale);
            store(products + row * padded + column + LANES, (floats)sums[row][1] * scale);
        }
    }
}

/* Sums of rows of [length, width], weighted: four of them, [4, width]. */
static void weighted_sums(const float *weights, long padded, const float *rows, long width, long end, float *sums) {
    for (long i = 0; i < width; i += CHUNK) {
        floats total[QUERIES][4];
        for (int query = 0; query < QUERIES; query++)
            for (int v = 0; v < 4; v++) total[query][v] = broadcast(0);
        for (long row = 0; row < end; row++) {
            floats value[4];
            for (int v = 0; v < 4; v++) value[v] = load(rows + row * width + i + v * LANES);
            for (int query = 0; query < QUERIES; query++)
                for (int v = 0; v < 4; v++) total[query][v] += weights[query * padded + row] * value[v];
        }
        for (int query = 0; query < QUERIES; query++)
            for (int v = 0; v < 4; v++) store(sums + query * width + i + v * LANES, total[query][v]);
    }
}

/* Add to each row of [length, width] four vectors, weighted. */
static void add_weighted(const float *weights, long padded, const float *vectors, long width, long end, float *rows) {
    for (long i = 0; i < width; i += CHUNK) {
        floats value[QUERIES][4];
        for (int query = 0; query < QUERIES; query++)
            for (int v = 0; v < 4; v++) value[query][v] = load(vectors + query * width + i + v * LANES);
        for (long row = 0; row < end; row++) {
            float *to = rows + row * width + i;
            floats total[4];
            for (int v = 0; v < 4; v++) total[v] = load(to + v * LANES);
            for (int query = 0; query < QUERIES; query++)
                for (int v = 0; v < 4; v++) total[v] += weights[query * padded + row] * value[query][v];
            for (int v = 0; v < 4; v++) store(to + v * LANES, total[v]);
        }
    }
}

/* e to scores less `log_sum`, and zero from the keys after the query on. */
static void probabilities(float *scores, long query, long end, float log_sum) {
    for (long i = 0; i < end; i += LANES) store(scores + i, exponential(load(scores + i) - log_sum));
    for (long i = query + 1; i < end; i++) scores[i] = 0;
}

/* Room for one head: `matrices` of [padded, width], and four rows of [padded] twice and of [width]. */
static float *room(long padded, long width, long matrices) {
    return malloc((matrices * padded * width + 2 * QUERIES * padded + QUERIES * width) * sizeof(float));
}

/* What each row gathers, [rows, heads * width], and the logarithms of the sums, [rows, heads]. */
void half_attention(const half *inputs, struct shape shape, const int64_t *starts, const int64_t *lengths,
                    long sequences, long longest, half *output, float *log_sums, int threads) {
    const long width = shape.width, stride = (shape.heads + 2 * shape.kv_heads) * width;
    const long shared = shape.heads / shape.kv_heads;
    const float scale = 1 / sqrtf(width);
#pragma omp parallel num_threads(threads)
    {
        float *memory = room(rounded_up(longest), width, 2);
#pragma omp for schedule(dynamic) collapse(2)
        for (long sequence = 0; sequence < sequences; sequence++)
            for (long head = 0; head < shape.heads; head++) {
                const long start = starts[sequence], length = lengths[sequence], padded = rounded_up(length);
                const half *queries = inputs + start * stride + head * width;
                const half *keys = inputs + start * stride + (shape.heads + head / shared) * width;
                float *v = memory, *weights = v + 2 * padded * width, *gathered = weights + 2 * QUERIES * padded;
                pair *k = (pair *)(v + padded * width);
                const half *rows[QUERIES];
                pair_across(keys, stride, length, width, k, padded);
                widen(keys + shape.kv_heads * width, stride, length, width, v, padded);
                for (long first = 0; first < length; first += QUERIES) {
                    const long last = first + QUERIES < length ? first + QUERIES : length, end = rounded_up(last);
                    four_rows(queries, stride, first, length, rows);
                    rows_by_columns(rows, k, width, padded, end, scale, weights);
                    for (long query = first; query < last; query++) {
                        float *mine = weights + (query - first) * padded;
                        for (long i = query + 1; i < end; i++) mine[i] = -INFINITY;
                        floats most = broadcast(-INFINITY), total = broadcast(0);
                        for (long i = 0; i < end; i += LANES) most = larger(most, load(mine + i));
                        const float peak = greatest(most);
                        for (long i = 0; i < end; i += LANES) {
                            const floats weight = exponential(load(mine + i) - peak);
                            total += weight;
                            store(mine + i, weight);
                        }
                        const float all = sum(total);
                        log_sums[(start + query) * shape.heads + head] = peak + logf(all);
                        for (long i = 0; i < end; i += LANES) store(mine + i, load(mine + i) / all);
                    }
                    weighted_sums(weights, padded, v, width, last, gathered);
                    for (long query = first; query < last; query++)
                        for (long i = 0; i < width; i += LANES)
                            store_half(output + ((start + query) * shape.heads + head) * width + i,
                                       load(gathered + (query - first) * width + i));
                }
            }
        free(memory);
    }
}

/* The gradient to queries, keys and values, laid out as these, from that to what was gathered. `parts`
   [2, rows, heads, width] is room for what each head gives to keys and values. */
void half_attention_backward(const half *gradient, const half *inputs, const float *log_sums, struct shape shape,
                             const int64_t *starts, const int64_t *lengths, long sequences, long longest,
                             float *parts, half *output, long rows, int threads) {
    const long width = shape.width, stride = (shape.heads + 2 * shape.kv_heads) * width;
    const long shared = shape.heads / shape.kv_heads, whole = rows * shape.heads * width;
    const float scale = 1 / sqrtf(width);
#pragma omp parallel num_threads(threads)
    {
        float *memory = room(rounded_up(longest), width, 6);
#pragma omp for schedule(dynamic) collapse(2)
        for (long sequence = 0; sequence < sequences; sequence++)
            for (long head = 0; head < shape.heads; head++) {
                const long start = starts[sequence], length = lengths[sequence], padded = rounded_up(length);
                const long matrix = padded * width;
                const half *queries = inputs + start * stride + head * width;
                const half *keys = inputs + start * stride + (shape.heads + head / shared) * width;
                const half *values = keys + shape.kv_heads * width;
                const half *incoming = gradient + (start * shape.heads + head) * width;
                float *q = memory, *k = q + matrix, *gathered = k + matrix, *to_k = gathered + matrix;
                float *to_v = to_k + matrix, *weights = to_v + matrix, *to_weights = weights + QUERIES * padded;
                float *to_q = to_weights + QUERIES * padded;
                pair *k_across = (pair *)(to_q + QUERIES * width), *v_across = k_across + matrix / 2;
                const half *rows[QUERIES], *incoming_rows[QUERIES];
                widen(queries, stride, length, width, q, padded);
                widen(keys, stride, length, width, k, padded);
                widen(incoming, shape.heads * width, length, width, gathered, padded);
                pair_across(keys, stride, length, width, k_across, padded);
                pair_across(values, stride, length, width, v_across, padded);
                memset(to_k, 0, 2 * matrix * sizeof *to_k);
                for (long first = 0; first < length; first += QUERIES) {
                    const long last = first + QUERIES < length ? first + QUERIES : length, end = rounded_up(last);
                    four_rows(queries, stride, first, length, rows);
                    four_rows(incoming, shape.heads * width, first, length, incoming_rows);
                    rows_by_columns(rows, k_across, width, padded, end, scale, weights);
                    rows_by_columns(incoming_rows, v_across, width, padded, end, 1, to_weights);
                    for (long query = first; query < first + QUERIES; query++) {
                        float *mine = weights + (query - first) * padded, *to_mine = to_weights + (query - first) * padded;
                        if (query >= length) {
                            memset(mine, 0, end * sizeof *mine);
                            memset(to_mine, 0, end * sizeof *to_mine);
                            continue;
                        }
                        probabilities(mine, query, end, log_sums[(start + query) * shape.heads + head]);
                        floats along = broadcast(0);
                        for (long i = 0; i < end; i += LANES) along += load(mine + i) * load(to_mine + i);
                        const float mean = sum(along);
                        for (long i = 0; i < end; i += LANES)
                            store(to_mine + i, load(mine + i) * (load(to_mine + i) - mean) * scale);
                    }
                    add_weighted(weights, padded, gathered + first * width, width, last, to_v);
                    add_weighted(to_weights, padded, q + first * width, width, last, to_k);
                    weighted_sums(to_weights, padded, k, width, last, to_q);
                    for (long query = first; query < last; query++)
                        for (long i = 0; i < width; i += LANES)
                            store_half(output + (start + query) * stride + head * width + i,
                                       load(to_q + (query - first) * width + i));
                }
                for (long row = 0; row < length; row++) {
                    float *part = parts + ((start + row) * shape.heads + head) * width;
                    memcpy(part, to_k + row * width, width * sizeof *part);
                    memcpy(part + whole, to_v + row * width, width * sizeof *part);
                }
            }
        free(memory);
        /* Keys and values gather what all queries give that share them. */
#pragma omp for schedule(static) collapse(2)
        for (long sequence = 0; sequence < sequences; sequence++)
            for (long head = 0; head < 2 * shape.kv_heads; head++)
                for (long row = starts[sequence]; row < starts[sequence] + lengths[sequence]; row++)
                    for (long i = 0; i < width; i += LANES) {
                        const long of_keys = head % shape.kv_heads * shared;
                        const float *part = parts + (head < shape.kv_heads ? 0 : whole);
                        floats total = broadcast(0);
                        for (long one = of_keys; one < of_keys + shared; one++)
                            total += load(part + (row * shape.heads + one) * width + i);
                        store_half(output + row * stride + (shape.heads + head) * width + i, total);
                    }
    }
}
