/* The adapters of layers that read one input, in training: their terms, their gradients and the input's.

   bfloat16 is multiplied in pairs (AVX512_BF16): a lane takes two neighbouring inputs at once and sums up in
   float32. So of every product the second factor stands "in pairs": [inputs / 2, outputs], 32 bits each. */

#include <stddef.h>
#include <stdlib.h>

#include "native.h"

/* Neighbouring rows of a matrix [rows, columns] in pairs; behind an odd last row stand zeros. */
static void pair_rows(const half *matrix, long stride, long rows, long columns, pair *pairs, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row += 2)
        for (long i = 0; i < columns; i += LANES) {
            const half *at = matrix + row * stride + i;
            const __m256i first = _mm256_loadu_si256((const __m256i *)at);
            const __m256i second =
                row + 1 < rows ? _mm256_loadu_si256((const __m256i *)(at + stride)) : _mm256_setzero_si256();
            const __m512i upper = _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16);
            _mm512_storeu_si512(pairs + row / 2 * columns + i, _mm512_or_si512(_mm512_cvtepu16_epi32(first), upper));
        }
}

/* Neighbouring columns of a matrix [rows, columns] in pairs: [columns / 2, rows]. */
static void pair_columns(const half *matrix, long rows, long columns, pair *pairs, int threads) {
    const long width = columns / 2;
    const pair *from = (const pair *)matrix;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row += LANES) {
        long i = 0;
        for (; i + LANES <= width; i += LANES) {
            __m512i lines[LANES];
            for (int lane = 0; lane < LANES; lane++) lines[lane] = _mm512_loadu_si512(from + (row + lane) * width + i);
            transpose(lines);
            for (int one = 0; one < LANES; one++) _mm512_storeu_si512(pairs + (i + one) * rows + row, lines[one]);
        }
        for (; i < width; i++)
            for (long lane = 0; lane < LANES; lane++) pairs[i * rows + row + lane] = from[(row + lane) * width + i];
    }
}

/* Both for a matrix of an adapter: `by_columns` to multiply by it, `by_rows` by it the other way round. */
void half_pairs(const half *matrix, long rows, long columns, pair *by_columns, pair *by_rows, int threads) {
    pair_columns(matrix, rows, columns, by_columns, threads);
    pair_rows(matrix, columns, rows, columns, by_rows, threads);
}

/* A tile of a product of rows with pairs, times `scale`, written to y or added to it. */
#define PRODUCT(name, rows_of_tile, vectors_of_tile)                                                          \
    static void name(const half *x, long stride, const pair *w, long outputs, long half_inputs, float scale,  \
                     half *y, long y_stride, int add) {                                                       \
        enum { ROWS = rows_of_tile, VECTORS = vectors_of_tile };                                              \
        __m512 sums[ROWS][VECTORS];                                                                           \
        for (int row = 0; row < ROWS; row++)                                                                  \
            for (int v = 0; v < VECTORS; v++) sums[row][v] = _mm512_setzero_ps();                             \
        for (long i = 0; i < half_inputs; i++) {                                                              \
            __m512bh weights[VECTORS];                                                                        \
            for (int v = 0; v < VECTORS; v++) weights[v] = load_pairs(w + i * outputs + v * LANES);           \
            for (int row = 0; row < ROWS; row++) {                                                            \
                const __m512bh value = broadcast_pair(x + row * stride + 2 * i);                              \
                for (int v = 0; v < VECTORS; v++)                                                             \
                    sums[row][v] = _mm512_dpbf16_ps(sums[row][v], value, weights[v]);                         \
            }                                                                                                 \
        }                                                                                                     \
        for (int row = 0; row < ROWS; row++)                                                                  \
            for (int v = 0; v < VECTORS; v++) {                                                               \
                half *to = y + row * y_stride + v * LANES;                                                    \
                const floats value = (floats)sums[row][v] * scale;                                            \
                store_half(to, add ? load_half(to) + value : value);                                          \
            }                                                                                                 \
    }

PRODUCT(product_8_2, 8, 2)
PRODUCT(product_8_1, 8, 1)
PRODUCT(product_1_2, 1, 2)
PRODUCT(product_1_1, 1, 1)

/* y [rows, outputs] of x [rows, inputs]; outputs are a multiple of sixteen. */
static void product(const half *x, long stride, const pair *w, long outputs, long inputs, float scale, half *y,
                    long y_stride, int add, long rows, int threads) {
    const long across = (outputs + 2 * LANES - 1) / (2 * LANES), down = (rows + 7) / 8;
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (long tile = 0; tile < across; tile++)
        for (long block = 0; block < down; block++) {
            const long column = tile * 2 * LANES, end = block * 8 + 8 < rows ? block * 8 + 8 : rows;
            const int wide = column + 2 * LANES <= outputs;
            for (long row = block * 8; row < end;) {
                const int many = row + 8 <= end;
                (many ? wide ? product_8_2 : product_8_1 : wide ? product_1_2 : product_1_1)(
                    x + row * stride, stride, w + column, outputs, inputs / 2, scale, y + row * y_stride + column,
                    y_stride, add);
                row += many ? 8 : 1;
            }
        }
}

/* A tile of left^T right over all rows, added to sums in float32, of which `wanted` says how many columns. */
#define OUTER(name, rows_of_tile, vectors_of_tile)                                                            \
    static void name(const pair *left, long height, const pair *right, long width, long half_rows,            \
                     float *output, long stride, __mmask16 wanted) {                                          \
        enum { ROWS = rows_of_tile, VECTORS = vectors_of_tile };                                              \
        __m512 sums[ROWS][VECTORS];                                                                           \
        for (int row = 0; row < ROWS; row++)                                                                  \
            for (int v = 0; v < VECTORS; v++)                                                                 \
                sums[row][v] = _mm512_maskz_loadu_ps(wanted, output + row * stride + v * LANES);              \
        for (long i = 0; i < half_rows; i++) {                                                                \
            __m512bh values[VECTORS];                                                                         \
            for (int v = 0; v < VECTORS; v++) values[v] = load_pairs(right + i * width + v * LANES);          \
            for (int row = 0; row < ROWS; row++) {                                                            \
                const __m512bh value = broadcast_pair(left + i * height + row);                               \
                for (int v = 0; v < VECTORS; v++)                                                             \
                    sums[row][v] = _mm512_dpbf16_ps(sums[row][v], value, values[v]);                          \
            }                                                                                                 \
        }                                                                                                     \
        for (int row = 0; row < ROWS; row++)                                                                  \
            for (int v = 0; v < VECTORS; v++)                                                                 \
                _mm512_mask_storeu_ps(output + row * stride + v * LANES, wanted, sums[row][v]);               \
    }

OUTER(outer_8_2, 8, 2)
OUTER(outer_8_1, 8, 1)

/* Add to `output` [height, columns] the sum over rows of left^T right. Both are matrices in pairs, `left_width`
   and `width` wide, of which the first `height` and `columns` are wanted: multiples of eight. */
static void outer(const pair *left, long left_width, long height, const pair *right, long width, long columns,
                  long half_rows, float *output, int threads) {
    const long across = (columns + 2 * LANES - 1) / (2 * LANES);
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (long row = 0; row < height; row += 8)
        for (long tile = 0; tile < across; tile++) {
            const long column = tile * 2 * LANES, left_over = columns - column;
            float *to = output + row * columns + column;
            if (left_over >= 2 * LANES)
                outer_8_2(left + row, left_width, right + column, width, half_rows, to, columns, 0xffff);
            else
                for (long i = 0; i < left_over; i += LANES)
                    outer_8_1(left + row, left_width, right + column + i, width, half_rows, to + i, columns,
                              left_over - i < LANES ? 0xff : 0xffff);
        }
}

#define MOST_LAYERS 3

/* `rank` is the adapters' own, `padded` the next multiple of sixteen: A and B have zeros behind. */
struct low_rank {
    long layers, rank, padded, inputs;
    float scale;
    const pair *a_columns, *a_rows; /* of all A below each other */
    const pair *b_columns[MOST_LAYERS], *b_rows[MOST_LAYERS];
    long outputs[MOST_LAYERS];
    float *a_gradients[MOST_LAYERS], *b_gradients[MOST_LAYERS];
};

/* low = x A^T scale [rows, layers * padded], and y += low B^T in the columns of each layer. */
void half_low_rank(const struct low_rank *adapters, const half *x, half *low, half *y, long y_stride, long rows,
                   int threads) {
    const long width = adapters->layers * adapters->padded;
    product(x, adapters->inputs, adapters->a_columns, width, adapters->inputs, adapters->scale, low, width, 0, rows,
            threads);
    for (long layer = 0; layer < adapters->layers; layer++) {
        product(low + layer * adapters->padded, width, adapters->b_columns[layer], adapters->outputs[layer],
                adapters->padded, 1, y, y_stride, 1, rows, threads);
        y += adapters->outputs[layer];
    }
}

/* Add the gradients of A and B, and to the gradient of x their share of it where it is given. */
void half_low_rank_backward(const struct low_rank *adapters, const half *x, const half *low, const half *gradient,
                            long gradient_stride, half *to_x, long rows, int threads) {
    const long padded = adapters->padded, width = adapters->layers * padded, half_rows = (rows + 1) / 2;
    long widest = adapters->inputs;
    for (long layer = 0; layer < adapters->layers; layer++)
        if (adapters->outputs[layer] > widest) widest = adapters->outputs[layer];
    pair *wide = malloc(half_rows * widest * sizeof *wide), *narrow = malloc(half_rows * width * sizeof *narrow);
    half *to_low = malloc(rows * width * sizeof *to_low);
    for (long layer = 0; layer < adapters->layers; layer++) {
        const long outputs = adapters->outputs[layer];
        pair_rows(gradient, gradient_stride, rows, outputs, wide, threads);
        pair_rows(low + layer * padded, width, rows, padded, narrow, threads);
        outer(wide, outputs, outputs, narrow, padded, adapters->rank, half_rows, adapters->b_gradients[layer], threads);
        product(gradient, gradient_stride, adapters->b_rows[layer], padded, outputs, adapters->scale,
                to_low + layer * padded, width, 0, rows, threads);
        gradient += outputs;
    }
    pair_rows(x, adapters->inputs, rows, adapters->inputs, wide, threads);
    pair_rows(to_low, width, rows, width, narrow, threads);
    for (long layer = 0; layer < adapters->layers; layer++)
        outer(narrow + layer * padded, width, adapters->rank, wide, adapters->inputs, adapters->inputs, half_rows,
              adapters->a_gradients[layer], threads);
    if (to_x)
        product(to_low, width, adapters->a_rows, adapters->inputs, width, 1, to_x, adapters->inputs, 1, rows,
                threads);
    free(wide);
    free(narrow);
    free(to_low);
}
