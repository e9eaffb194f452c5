/* What a block computes between its matrices, row by row, in one pass through memory each. */

#include <math.h>

#include "native.h"

#define ALONE 8 /* rows that one thread has done before another has come */

/* x += y, and states = x / sqrt(mean of squares + eps) * weight. Without y, x stays as it is. */
void add_and_norm(float *x, const float *y, const float *weight, float eps, float *states, long rows,
                  long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows > ALONE)
    for (long row = 0; row < rows; row++) {
        float *mine = x + row * width;
        floats squares = broadcast(0);
        for (long i = 0; i < width; i += LANES) {
            floats value = load(mine + i);
            if (y) store(mine + i, value += load(y + row * width + i));
            squares += value * value;
        }
        const float inverse = 1 / sqrtf(sum(squares) / width + eps);
        for (long i = 0; i < width; i += LANES)
            store(states + row * width + i, load(mine + i) * inverse * load(weight + i));
    }
}

/* silu(gate) * up, of rows in which both stand beside each other. */
void gated(const float *gate_and_up, float *output, long rows, long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows > ALONE)
    for (long row = 0; row < rows; row++) {
        const float *gate = gate_and_up + row * 2 * width, *up = gate + width;
        for (long i = 0; i < width; i += LANES) {
            const floats value = load(gate + i);
            store(output + row * width + i, value / (1 + exponential(-value)) * load(up + i));
        }
    }
}
