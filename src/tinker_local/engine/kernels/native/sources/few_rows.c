/* A few rows times a matrix that has to come from memory: y = x W^T.

   The matrix lies in panels of sixteen outputs, whose numbers for one input stand side by side, in one of
   four forms that all give the same float32 numbers back. So a row waits for 0.75 to 4 bytes a weight.

   Every output is summed up input by input with fused multiply-adds, in blocks of `block` inputs whose sums
   are added one after another. That is what oneDNN does for more rows, to the last bit; whoever calls this
   has compared the two (few_rows.py). */

#include <stdlib.h>

#include "native.h"

enum form { FLOAT32, BFLOAT16, SYMMETRIC8, AFFINE4 };

#define GROUP 32 /* inputs that share a scale */

static const long panel_group_bytes[] = {4 * LANES * GROUP, 2 * LANES * GROUP, LANES * (4 + GROUP),
                                         LANES * (8 + GROUP / 2)};

/* Multiply the weights of one input into the sums of all rows of a tile. */
#define MULTIPLY(panel, weights, input)                                                          \
    for (int row = 0; row < ROWS; row++) sums[row][panel] += x[row + (input) * STEP] * (weights);

/* Groups of 32 inputs from one panel on; the sums stay in registers. */
#define TILE(name, rows_of_tile, panels_of_tile, step)                                                   \
    static __attribute__((noinline)) void name(const float *x, long apart, const char *weights, long panel_bytes, enum form form, \
                     long groups, long block_groups, float *y, long y_stride, int add) {                 \
        enum { ROWS = rows_of_tile, PANELS = panels_of_tile };                                           \
        const long STEP = step;                                                                          \
        floats total[ROWS][PANELS];                                                                      \
        for (long first = 0; first < groups; first += block_groups) {                                    \
            const long last = first + block_groups < groups ? first + block_groups : groups;             \
            floats sums[ROWS][PANELS];                                                                   \
            for (int row = 0; row < ROWS; row++)                                                         \
                for (int panel = 0; panel < PANELS; panel++) sums[row][panel] = broadcast(0);            \
            for (long group = first; group < last; group++) {                                            \
                const char *at = weights + group * panel_group_bytes[form];                              \
                const long input = group * GROUP;                                                        \
                if (form == FLOAT32)                                                                     \
                    for (int i = 0; i < GROUP; i++)                                                      \
                        for (int panel = 0; panel < PANELS; panel++) {                                   \
                            const floats w = load((const float *)(at + panel * panel_bytes) + i * LANES); \
                            MULTIPLY(panel, w, input + i)                                                \
                        }                                                                                \
                else if (form == BFLOAT16)                                                               \
                    for (int i = 0; i < GROUP; i++)                                                      \
                        for (int panel = 0; panel < PANELS; panel++) {                                   \
                            const char *from = at + panel * panel_bytes + i * 2 * LANES;                 \
                            const floats w = load_half((const uint16_t *)from);                          \
                            MULTIPLY(panel, w, input + i)                                                \
                        }                                                                                \
                else if (form == SYMMETRIC8) {                                                           \
                    floats scale[PANELS];                                                                \
                    for (int panel = 0; panel < PANELS; panel++)                                         \
                        scale[panel] = load((const float *)(at + panel * panel_bytes));                  \
                    for (int i = 0; i < GROUP; i++)                                                      \
                        for (int panel = 0; panel < PANELS; panel++) {                                   \
                            const char *from = at + panel * panel_bytes + 4 * LANES + i * LANES;         \
                            const __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)); \
                            const floats w = from_integers((integers)wide) * scale[panel];               \
                            MULTIPLY(panel, w, input + i)                                                \
                        }                                                                                \
                } else {                                                                                 \
                    floats scale[PANELS], least[PANELS];                                                 \
                    for (int panel = 0; panel < PANELS; panel++) {                                       \
                        scale[panel] = load((const float *)(at + panel * panel_bytes));                  \
                        least[panel] = load((const float *)(at + panel * panel_bytes) + LANES);          \
                    }                                                                                    \
                    for (int i = 0; i < GROUP; i += 2)                                                   \
                        for (int panel = 0; panel < PANELS; panel++) {                                   \
                            const char *from = at + panel * panel_bytes + 8 * LANES + i / 2 * LANES;     \
                            const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from)); \
                            const integers pair = (integers)wide;                                        \
                            floats w = from_integers(pair & 15) * scale[panel] + least[panel];           \
                            MULTIPLY(panel, w, input + i)                                                \
                            w = from_integers(pair >> 4) * scale[panel] + least[panel];                  \
                            MULTIPLY(panel, w, input + i + 1)                                            \
                        }                                                                                \
                }                                                                                        \
            }                                                                                            \
            for (int row = 0; row < ROWS; row++)                                                         \
                for (int panel = 0; panel < PANELS; panel++)                                             \
                    total[row][panel] = first ? total[row][panel] + sums[row][panel] : sums[row][panel]; \
        }                                                                                                \
        for (int row = 0; row < ROWS; row++)                                                             \
            for (int panel = 0; panel < PANELS; panel++)                                                 \
{                                                                                                        \
                float *to = y + row * y_stride + panel * LANES;                                          \
                store(to, add ? load(to) + total[row][panel] : total[row][panel]);                       \
            }                                                                                            \
    }

TILE(tile_1, 1, 4, 1)
TILE(tile_2, 2, 4, 2)
TILE(tile_4, 4, 4, 4)
TILE(tile_8, 8, 2, 8)
TILE(tile_16, 16, 1, 16)
TILE(tile_single, 1, 1, apart)
typedef void (*tile)(const float *, long, const char *, long, enum form, long, long, float *, long, int);

/* The sizes that a number of rows is taken apart into. */
static const struct {
    long rows, panels;
    tile run;
} tiles[] = {{16, 1, tile_16}, {8, 2, tile_8}, {4, 4, tile_4}, {2, 4, tile_2}, {1, 4, tile_1}};

static int tile_for(long rows) {
    int kind = 0;
    while (tiles[kind].rows > rows) kind++;
    return kind;
}

/* Rows of x tile by tile, the numbers of a tile for one input side by side: so many pointers as there are rows
   would not find room in the registers. */
static void bring_together(const float *x, long stride, long rows, long first, long last, long inputs, float *to) {
    for (long row = 0; row < rows;) {
        const long size = tiles[tile_for(rows - row)].rows;
        for (long one = 0; one < size; one++)
            for (long i = first; i < last; i++) to[i * size + one] = x[(row + one) * stride + i];
        to += size * inputs;
        row += size;
    }
}

/* The threads of a team share the panels; none waits at the end. */
static void multiply(const struct panels *matrix, const float *together, float *y, long y_stride, int add,
                     long rows) {
    const enum form form = matrix->form;
    const long groups = matrix->groups, block_groups = matrix->block_groups, inputs = groups * GROUP;
    const long panel_bytes = groups * panel_group_bytes[form], panels = matrix->outputs / LANES;
    /* Panels that a thread takes at once: as many as a tile has. */
    const long taken = tiles[tile_for(rows)].panels;
#pragma omp for schedule(dynamic) nowait
    for (long chunk = 0; chunk < (panels + taken - 1) / taken; chunk++) {
        const long end = chunk * taken + taken < panels ? chunk * taken + taken : panels;
        const float *x = together;
        for (long row = 0; row < rows;) {
            const int kind = tile_for(rows - row);
            const long size = tiles[kind].rows;
            for (long panel = chunk * taken; panel < end;) {
                const char *from = matrix->weights + panel * panel_bytes;
                float *to = y + row * y_stride + panel * LANES;
                if (panel + tiles[kind].panels <= end) {
                    tiles[kind].run(x, 1, from, panel_bytes, form, groups, block_groups, to, y_stride, add);
                    panel += tiles[kind].panels;
                } else { /* the last panels, one by one and row by row */
                    for (long i = 0; i < size; i++)
                        tile_single(x + i, size, from, panel_bytes, form, groups, block_groups, to + i * y_stride,
                                    y_stride, add);
                    panel++;
                }
            }
            x += size * inputs;
            row += size;
        }
    }
}

#define SMALL 16384 /* numbers that one thread brings together sooner than several would meet */

/* y [rows, outputs] of x [rows, inputs] and W, or that added to y, and to the columns of each of `layers` also
   x A^T B^T: `a` holds all A below each other, `b` one matrix for each layer, and `low` [rows, a->outputs] is room
   for what lies between. Threads share the panels; strides are in numbers. */
void few_rows(const struct panels *base, const struct panels *a, const struct panels *b, long layers,
              const float *x, long stride, float *low, float *y, long y_stride, int add, long rows, int threads) {
    const long inputs = base->groups * GROUP, width = layers ? a->outputs / layers : 0;
    float *room = rows > 1 ? malloc(rows * inputs * sizeof *room) : NULL;
    const int at_once = rows * inputs <= SMALL;
    if (room && at_once) bring_together(x, stride, rows, 0, inputs, inputs, room);
    const float *together = room ? room : x;
#pragma omp parallel num_threads(threads)
    {
        if (room && !at_once) {
#pragma omp for schedule(static)
            for (long group = 0; group < base->groups; group++)
                bring_together(x, stride, rows, group * GROUP, group * GROUP + GROUP, inputs, room);
        }
        multiply(base, together, y, y_stride, add, rows);
        if (layers) {
            multiply(a, together, low, a->outputs, 0, rows);
#pragma omp barrier
            float mine[rows * width], *to = y;
            for (long layer = 0; layer < layers; layer++) {
                bring_together(low + layer * width, a->outputs, rows, 0, width, width, mine);
                multiply(b + layer, mine, to, y_stride, 1, rows);
                to += b[layer].outputs;
            }
        }
    }
    free(room);
}
