/* Many rows times a frozen matrix in bfloat16, in training: y = x W^T, and on the way back g W.

   bfloat16 is multiplied in pairs (AVX512_BF16): a lane takes two neighbours of what is summed over at once,
   which are two inputs on the way there and two outputs on the way back. So that one copy of the matrix serves
   both, it lies in blocks of two outputs and two inputs: (o, i) (o + 1, i) (o, i + 1) (o + 1, i + 1). On the way
   there the middle ones change places in the register; on the way back the outputs' pairs are multiplied as
   they lie, each with as many rows of the gradient as there are lanes.

   The blocks stand in panels of 48 outputs, the last of which may be narrower: [inputs / 2][width] pairs. */

#include <stdlib.h>

#include "native.h"

#define VECTORS 3
#define WIDTH (VECTORS * LANES) /* outputs of a panel, and rows of a tile on the way back */
#define TILE_ROWS 8             /* rows of a tile on the way there, and inputs of one on the way back */

/* Pairs of inputs, of sixteen outputs, as pairs of outputs, and the other way round. */
static inline __m512i turned(__m512i pairs) {
    const __m512i middle = _mm512_set4_epi32(0x0f0e0b0a, 0x0d0c0908, 0x07060302, 0x05040100);
    return _mm512_shuffle_epi8(pairs, middle);
}

static inline __m512bh load_turned(const pair *from) { return (__m512bh)turned(_mm512_loadu_si512(from)); }

/* The blocks of a matrix [outputs, inputs]; both are multiples of sixteen. */
void half_lay_out(const half *matrix, long outputs, long inputs, pair *blocks, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long output = 0; output < outputs; output += LANES) {
        const long panel = output / WIDTH * WIDTH, width = least(WIDTH, outputs - panel);
        pair *to = blocks + panel * (inputs / 2) + output - panel;
        for (long i = 0; i < inputs / 2; i += LANES) {
            const long pairs = least(LANES, inputs / 2 - i);
            const __mmask16 wanted = (1u << pairs) - 1;
            __m512i lines[LANES];
            for (long line = 0; line < LANES; line++)
                lines[line] = _mm512_maskz_loadu_epi32(wanted, matrix + (output + line) * inputs + 2 * i);
            transpose(lines);
            for (long one = 0; one < pairs; one++) _mm512_storeu_si512(to + (i + one) * width, turned(lines[one]));
        }
    }
}

#define TILE(name, rows_of_tile, vectors_of_tile)                                                             \
    static void name(const half *x, long stride, const pair *panel, long half_inputs, half *y, long y_stride) { \
        enum { ROWS = rows_of_tile, WIDE = vectors_of_tile };                                                 \
        __m512 sums[ROWS][WIDE];                                                                              \
        for (int row = 0; row < ROWS; row++)                                                                  \
            for (int v = 0; v < WIDE; v++) sums[row][v] = _mm512_setzero_ps();                                \
        for (long i = 0; i < half_inputs; i++) {                                                              \
            __m512bh weights[WIDE];                                                                           \
            for (int v = 0; v < WIDE; v++) weights[v] = load_turned(panel + (i * WIDE + v) * LANES);          \
            for (int row = 0; row < ROWS; row++) {                                                            \
                const __m512bh value = broadcast_pair(x + row * stride + 2 * i);                              \
                for (int v = 0; v < WIDE; v++) sums[row][v] = _mm512_dpbf16_ps(sums[row][v], value, weights[v]); \
            }                                                                                                 \
        }                                                                                                     \
        for (int row = 0; row < ROWS; row++)                                                                  \
            for (int v = 0; v < WIDE; v++) store_half(y + row * y_stride + v * LANES, (floats)sums[row][v]);  \
    }

#define TILES(rows) TILE(tile_##rows##_1, rows, 1) TILE(tile_##rows##_2, rows, 2) TILE(tile_##rows##_3, rows, 3)
TILES(1)
TILES(2)
TILES(4)
TILES(8)

typedef void (*tile)(const half *, long, const pair *, long, half *, long);
/* By how many rows and how many vectors. */
static const tile tiles[][VECTORS + 1] = {
    [1] = {NULL, tile_1_1, tile_1_2, tile_1_3},
    [2] = {NULL, tile_2_1, tile_2_2, tile_2_3},
    [4] = {NULL, tile_4_1, tile_4_2, tile_4_3},
    [8] = {NULL, tile_8_1, tile_8_2, tile_8_3},
};

/* y [rows, outputs] of x [rows, inputs]; both are multiples of sixteen. */
void half_matmul(const pair *matrix, long inputs, long outputs, const half *x, long stride, half *y, long y_stride,
                 long rows, int threads) {
    if (!rows) return;
    const long panels = (outputs + WIDTH - 1) / WIDTH, blocks = (rows + TILE_ROWS - 1) / TILE_ROWS;
    /* Where there are many threads for few panels, several share one. */
    const long shares = panels < 4 * threads ? least(blocks, (4 * threads + panels - 1) / panels) : 1;
    const long share = (blocks + shares - 1) / shares * TILE_ROWS;
#pragma omp parallel for num_threads(threads) schedule(static) collapse(2)
    for (long panel = 0; panel < panels; panel++)
        for (long part = 0; part < shares; part++) {
            const pair *from = matrix + panel * WIDTH * (inputs / 2);
            const long vectors = least(WIDTH, outputs - panel * WIDTH) / LANES, end = least(rows, part * share + share);
            long many = TILE_ROWS;
            for (long row = part * share; row < end; row += many) {
                while (row + many > end) many /= 2;
                tiles[many][vectors](x + row * stride, stride, from, inputs / 2, y + row * y_stride + panel * WIDTH,
                                     y_stride);
            }
        }
}

#define LINE 64
#define MOST_ROWS 256        /* that are taken back together */
#define BLOCK_BYTES 0x60000  /* of the gradient's pairs, which stay in a core's cache */

/* Add to sums [eight inputs, rows] some panels' products; `fetch` says to have what comes next brought already. */
#define BACK(name, vectors_of_tile)                                                                           \
    static void name(const pair *matrix, long inputs, long outputs, long input, const pair *gradient, \
                     float *sums, int first, int fetch) {                                                     \
        enum { WIDE = vectors_of_tile };                                                                      \
        __m512 mine[TILE_ROWS][WIDE];                                                                         \
        for (int i = 0; i < TILE_ROWS; i++)                                                                   \
            for (int v = 0; v < WIDE; v++)                                                                    \
                mine[i][v] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(sums + i * WIDTH + v * LANES);     \
        for (long done = 0; done < outputs; done += WIDTH) {                                                  \
            const long width = least(WIDTH, outputs - done);                                                  \
            const pair *from = matrix + done * (inputs / 2) + input / 2 * width;                              \
            if (fetch)                                                                                        \
                for (long line = 0; line < TILE_ROWS / 2 * width * (long)sizeof *from; line += LINE)          \
                    _mm_prefetch((const char *)(from + TILE_ROWS / 2 * width) + line, _MM_HINT_T0);           \
            for (long o = 0; o < width; o += 2) {                                                             \
                __m512bh values[WIDE];                                                                        \
                for (int v = 0; v < WIDE; v++) values[v] = load_pairs(gradient + v * LANES);                  \
                for (int i = 0; i < TILE_ROWS; i++) {                                                         \
                    const __m512bh weight = broadcast_pair(from + i / 2 * width + o + i % 2);                 \
                    for (int v = 0; v < WIDE; v++) mine[i][v] = _mm512_dpbf16_ps(mine[i][v], weight, values[v]); \
                }                                                                                             \
                gradient += WIDE * LANES;                                                                     \
            }                                                                                                 \
        }                                                                                                     \
        for (int i = 0; i < TILE_ROWS; i++)                                                                   \
            for (int v = 0; v < WIDE; v++) _mm512_storeu_ps(sums + i * WIDTH + v * LANES, mine[i][v]);        \
    }

BACK(back_1, 1)
BACK(back_2, 2)
BACK(back_3, 3)

typedef void (*back)(const pair *, long, long, long, const pair *, float *, int, int);
static const back backs[] = {NULL, back_1, back_2, back_3};

/* Vectors of rows that a tile takes of those that are left: two and two are better than three and one. */
static inline long vectors_of(long left) { return left == 4 * LANES ? 2 : least(VECTORS, left / LANES); }

/* Columns, up to sixteen pairs of them, of up to sixteen rows: [pairs][rows], and zeros for rows that there are
   not. */
static void pair_outputs(const half *gradient, long stride, long rows, long pairs, pair *to, long to_stride) {
    const __mmask16 wanted = (1u << pairs) - 1;
    __m512i lines[LANES];
    for (long row = 0; row < LANES; row++)
        lines[row] = _mm512_maskz_loadu_epi32(row < rows ? wanted : 0, gradient + row * stride);
    transpose(lines);
    for (long i = 0; i < pairs; i++) _mm512_storeu_si512(to + i * to_stride, lines[i]);
}

/* Sums [sixteen inputs, up to 48 rows] as rows of the output. */
static void write_back(const float *sums, long rows, half *to, long stride) {
    for (long start = 0; start < rows; start += LANES) {
        __m512i lines[LANES];
        for (long i = 0; i < LANES; i++) lines[i] = _mm512_loadu_si512(sums + i * WIDTH + start);
        transpose(lines);
        for (long row = start; row < least(rows, start + LANES); row++)
            store_half(to + row * stride, (floats)lines[row - start]);
    }
}

/* to_x [rows, inputs] of the gradient [rows, outputs]. */
void half_matmul_back(const pair *matrix, long inputs, long outputs, const half *gradient, long stride, half *to_x,
                      long rows, int threads) {
    for (long start = 0; start < rows; start += MOST_ROWS) {
        const long number = least(MOST_ROWS, rows - start), padded = (number + LANES - 1) / LANES * LANES;
        const long panels = BLOCK_BYTES / (WIDTH / 2 * padded * (long)sizeof(pair)), block = panels * WIDTH;
        const long across = (padded + WIDTH - 1) / WIDTH; /* tiles of rows */
        pair *pairs = aligned_alloc(LINE, least(block, outputs) / 2 * padded * sizeof *pairs);
        float *sums = aligned_alloc(LINE, inputs * across * WIDTH * sizeof *sums);
#pragma omp parallel num_threads(threads)
        for (long first = 0; first < outputs; first += block) {
            const long wide = least(block, outputs - first);
#pragma omp for schedule(static)
            for (long o = 0; o < wide; o += 2 * LANES)
                for (long row = 0, vectors; row < padded; row += vectors * LANES) {
                    vectors = vectors_of(padded - row);
                    for (long v = 0; v < vectors * LANES; v += LANES)
                        pair_outputs(gradient + (start + row + v) * stride + first + o, stride,
                                     least(LANES, number - row - v), least(LANES, (wide - o) / 2),
                                     pairs + wide / 2 * row + o / 2 * vectors * LANES + v, vectors * LANES);
                }
#pragma omp for schedule(static)
            for (long input = 0; input < inputs; input += LANES) {
                float *mine = sums + input * across * WIDTH;
                for (long row = 0, vectors; row < padded; row += vectors * LANES, mine += LANES * WIDTH) {
                    vectors = vectors_of(padded - row);
                    for (long i = 0; i < LANES; i += TILE_ROWS)
                        backs[vectors](matrix + first * (inputs / 2), inputs, wide, input + i, pairs + wide / 2 * row,
                                       mine + i * WIDTH, first == 0, row == 0);
                    if (first + block >= outputs)
                        write_back(mine, least(vectors * LANES, number - row), to_x + (start + row) * inputs + input,
                                   inputs);
                }
            }
        }
        free(pairs);
        free(sums);
    }
}
