/* The adapters of layers that read one input, in training: their terms, their gradients and the input's.

   bfloat16 is multiplied in pairs (AVX512_BF16): a lane takes two neighbouring inputs at once and sums up in
   float32. So of every product the second factor stands "in pairs": [inputs / 2, outputs], 32 bits each. */

#include <stddef.h>
#include <stdlib.h>

#include "native.h"

/* Neighbouring rows of a matrix [rows, columns] in pairs; behind an odd last row stand zeros. Like all that
   follows, this is shared by a team of threads, none of which waits at the end. */
static void pair_rows(const half *matrix, long stride, long rows, long columns, pair *pairs) {
#pragma omp for schedule(static) nowait
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
                    long y_stride, int add, long rows) {
    const long across = (outputs + 2 * LANES - 1) / (2 * LANES), down = (rows + 7) / 8;
#pragma omp for schedule(static) collapse(2) nowait
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
                  long half_rows, float *output) {
    const long across = (columns + 2 * LANES - 1) / (2 * LANES);
#pragma omp for schedule(static) collapse(2) nowait
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

/* `rank` is the adapters' own, `padded` the next multiple of sixteen. `a` and `b` are the matrices that an
   optimizer steps; the others are these in pairs, with zeros behind. */
struct low_rank {
    long layers, rank, padded, inputs;
    float scale;
    const float *a[MOST_LAYERS], *b[MOST_LAYERS];
    pair *a_columns, *a_rows; /* of all A below each other */
    pair *b_columns[MOST_LAYERS], *b_rows[MOST_LAYERS];
    long outputs[MOST_LAYERS];
    float *a_gradients[MOST_LAYERS], *b_gradients[MOST_LAYERS];
};

/* A matrix [rows, columns] in pairs of neighbouring columns, to multiply by it, and of neighbouring rows, by it
   the other way round: [padded_columns / 2][columns_stride] and [padded_rows / 2][rows_stride]. */
static void pair_both(const float *matrix, long rows, long columns, long padded_rows, long padded_columns,
                      pair *by_columns, long columns_stride, pair *by_rows, long rows_stride) {
    for (long row = 0; row < padded_rows; row += LANES)
        for (long column = 0; column < padded_columns; column += 2 * LANES) {
            const long left = columns - column, wide = least(2 * LANES, padded_columns - column);
            const __mmask16 first = left < LANES ? (1u << left) - 1 : 0xffff;
            const __mmask16 second = left < LANES ? 0 : left < 2 * LANES ? (1u << (left - LANES)) - 1 : 0xffff;
            __m512i lines[LANES];
            for (long i = 0; i < LANES; i++) {
                const float *from = matrix + (row + i) * columns + column;
                lines[i] = row + i < rows ? (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(second, from + LANES),
                                                                         _mm512_maskz_loadu_ps(first, from))
                                          : _mm512_setzero_si512();
            }
            for (long i = 0; i < LANES; i += 2)
                for (long half_line = 0; half_line < wide / LANES; half_line++) {
                    const __m256i one = half_line ? _mm512_extracti64x4_epi64(lines[i], 1) : _mm512_castsi512_si256(lines[i]);
                    const __m256i next =
                        half_line ? _mm512_extracti64x4_epi64(lines[i + 1], 1) : _mm512_castsi512_si256(lines[i + 1]);
                    const __m512i upper = _mm512_slli_epi32(_mm512_cvtepu16_epi32(next), 16);
                    _mm512_storeu_si512(by_rows + (row + i) / 2 * rows_stride + column + half_line * LANES,
                                        _mm512_or_si512(_mm512_cvtepu16_epi32(one), upper));
                }
            transpose(lines);
            for (long i = 0; i < wide / 2; i++)
                _mm512_storeu_si512(by_columns + (column / 2 + i) * columns_stride + row, lines[i]);
        }
}

/* The pairs of so many groups anew, after a step of the optimizer. */
void half_low_rank_refresh(const struct low_rank *const *groups, long number, int threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (long group = 0; group < number; group++) {
        const struct low_rank *one = groups[group];
        const long padded = one->padded, width = one->layers * padded;
        for (long layer = 0; layer < one->layers; layer++) {
            const long outputs = one->outputs[layer], start = layer * padded;
            pair_both(one->a[layer], one->rank, one->inputs, padded, one->inputs, one->a_columns + start, width,
                      one->a_rows + start / 2 * one->inputs, one->inputs);
            pair_both(one->b[layer], outputs, one->rank, outputs, padded, one->b_columns[layer], outputs,
                      one->b_rows[layer], padded);
        }
    }
}

/* low = x A^T scale [rows, layers * padded], and y += low B^T in the columns of each layer. */
void half_low_rank(const struct low_rank *adapters, const half *x, half *low, half *y, long y_stride, long rows,
                   int threads) {
    const long padded = adapters->padded, width = adapters->layers * padded;
#pragma omp parallel num_threads(threads)
    {
        product(x, adapters->inputs, adapters->a_columns, width, adapters->inputs, adapters->scale, low, width, 0, rows);
#pragma omp barrier
        half *to = y;
        for (long layer = 0; layer < adapters->layers; to += adapters->outputs[layer++])
            product(low + layer * padded, width, adapters->b_columns[layer], adapters->outputs[layer], padded, 1, to,
                    y_stride, 1, rows);
    }
}

/* Add the gradients of A and B, and to the gradient of x their share of it where it is given. */
void half_low_rank_backward(const struct low_rank *adapters, const half *x, const half *low, const half *gradient,
                            long gradient_stride, half *to_x, long rows, int threads) {
    const long layers = adapters->layers, padded = adapters->padded, inputs = adapters->inputs;
    const long width = layers * padded, half_rows = (rows + 1) / 2;
    long starts[MOST_LAYERS + 1] = {0};
    for (long layer = 0; layer < layers; layer++) starts[layer + 1] = starts[layer] + adapters->outputs[layer];
    const long outputs = starts[layers];
    /* The rows of each matrix in pairs: of the gradient, x, low and its gradient. */
    pair *gradients = malloc(half_rows * (outputs + inputs + 2 * width) * sizeof *gradients);
    pair *states = gradients + half_rows * outputs, *lows = states + half_rows * inputs;
    pair *to_lows = lows + half_rows * width;
    half *to_low = malloc(rows * width * sizeof *to_low);
#pragma omp parallel num_threads(threads)
    {
        for (long layer = 0; layer < layers; layer++)
            product(gradient + starts[layer], gradient_stride, adapters->b_rows[layer], padded,
                    adapters->outputs[layer], adapters->scale, to_low + layer * padded, width, 0, rows);
        pair_rows(gradient, gradient_stride, rows, outputs, gradients);
        pair_rows(low, width, rows, width, lows);
        pair_rows(x, inputs, rows, inputs, states);
#pragma omp barrier
        for (long layer = 0; layer < layers; layer++)
            outer(gradients + starts[layer], outputs, adapters->outputs[layer], lows + layer * padded, width,
                  adapters->rank, half_rows, adapters->b_gradients[layer]);
        if (to_x) product(to_low, width, adapters->a_rows, inputs, width, 1, to_x, inputs, 1, rows);
        pair_rows(to_low, width, rows, width, to_lows);
#pragma omp barrier
        for (long layer = 0; layer < layers; layer++)
            outer(to_lows + layer * padded, width, adapters->rank, states, inputs, inputs, half_rows,
                  adapters->a_gradients[layer]);
    }
    free(gradients);
    free(to_low);
}
