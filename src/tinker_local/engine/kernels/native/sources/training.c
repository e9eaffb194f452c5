/* What training computes in bfloat16 between its matrices, each in one pass through memory.

   Numbers are widened to float32 when they are read and rounded when they are written, so a chain of
   operations is rounded once where torch rounds after every one. */

#include <math.h>
#include <stddef.h>

#include "native.h"

/* x += y where y is given; states = x * inverse * weight, with inverse = 1 / sqrt(mean of squares + eps). */
void half_norm(half *x, const half *y, const half *weight, float eps, half *states, float *inverses, long rows,
               long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        half *mine = x + row * width;
        floats squares = broadcast(0);
        for (long i = 0; i < width; i += LANES) {
            if (y) store_half(mine + i, load_half(mine + i) + load_half(y + row * width + i));
            const floats value = load_half(mine + i);
            squares += value * value;
        }
        const float inverse = 1 / sqrtf(sum(squares) / width + eps);
        inverses[row] = inverse;
        for (long i = 0; i < width; i += LANES)
            store_half(states + row * width + i, load_half(mine + i) * inverse * load_half(weight + i));
    }
}

/* The same states again, from the inverse roots. */
void half_normed(const half *x, const float *inverses, const half *weight, half *states, long rows, long width,
                 int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++)
        for (long i = 0; i < width; i += LANES)
            store_half(states + row * width + i,
                       load_half(x + row * width + i) * inverses[row] * load_half(weight + i));
}

/* The gradient to x from that to the states, plus another where that is given. */
void half_norm_backward(const half *gradient, const half *x, const float *inverses, const half *weight,
                        const half *plus, half *output, long rows, long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        const half *to_states = gradient + row * width, *mine = x + row * width;
        const float inverse = inverses[row];
        floats products = broadcast(0);
        for (long i = 0; i < width; i += LANES)
            products += load_half(to_states + i) * load_half(weight + i) * (load_half(mine + i) * inverse);
        const float along = sum(products) / width;
        for (long i = 0; i < width; i += LANES) {
            const floats scaled = load_half(mine + i) * inverse;
            floats value = (load_half(to_states + i) * load_half(weight + i) - scaled * along) * inverse;
            if (plus) value += load_half(plus + row * width + i);
            store_half(output + row * width + i, value);
        }
    }
}

/* Turn heads, [rows, heads, width] with rows `stride` apart, in place by angles [rows, width / 2]; `direction`
   -1 turns back. */
void half_rotate(half *x, long stride, long heads, long width, const float *cosines, const float *sines,
                 float direction, long rows, int threads) {
    const long middle = width / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++)
        for (long head = 0; head < heads; head++) {
            half *mine = x + row * stride + head * width;
            for (long i = 0; i < middle; i += LANES) {
                const floats first = load_half(mine + i), second = load_half(mine + middle + i);
                const floats cosine = load(cosines + row * middle + i);
                const floats sine = load(sines + row * middle + i) * direction;
                store_half(mine + i, first * cosine - second * sine);
                store_half(mine + middle + i, second * cosine + first * sine);
            }
        }
}

/* silu(gate) * up, of rows in which both stand beside each other. */
void half_gated(const half *gate_and_up, half *output, long rows, long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        const half *gate = gate_and_up + row * 2 * width, *up = gate + width;
        for (long i = 0; i < width; i += LANES) {
            const floats value = load_half(gate + i);
            store_half(output + row * width + i, value / (1 + exponential(-value)) * load_half(up + i));
        }
    }
}

/* The gradient to both, beside each other, from that to the product. */
void half_gated_backward(const half *gate_and_up, const half *gradient, half *output, long rows, long width,
                         int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        const half *gate = gate_and_up + row * 2 * width, *up = gate + width;
        half *to_gate = output + row * 2 * width, *to_up = to_gate + width;
        for (long i = 0; i < width; i += LANES) {
            const floats value = load_half(gate + i), incoming = load_half(gradient + row * width + i);
            const floats sigmoid = 1 / (1 + exponential(-value));
            store_half(to_up + i, incoming * value * sigmoid);
            const floats slope = sigmoid * (1 + value * (1 - sigmoid));
            store_half(to_gate + i, incoming * load_half(up + i) * slope);
        }
    }
}

/* Of each row of scores the logarithm of the sum of e to them. */
void half_log_sums(const half *scores, float *log_sums, long rows, long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        const half *mine = scores + row * width;
        floats most = broadcast(-INFINITY), total = broadcast(0);
        for (long i = 0; i < width; i += LANES) most = larger(most, load_half(mine + i));
        const float peak = greatest(most);
        for (long i = 0; i < width; i += LANES) total += exponential(load_half(mine + i) - peak);
        log_sums[row] = peak + logf(sum(total));
    }
}

/* Write over scores their gradient: -factor * probability, and at each of `count` targets what its own
   log-probability's gradient adds, summed up before it is rounded. */
void half_score_gradients(half *scores, const float *log_sums, const int64_t *targets, const float *by_logprob,
                          long count, long rows, long width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        half *mine = scores + row * width;
        const int64_t *wanted = targets + row * count;
        const float *given = by_logprob + row * count;
        float factor = 0, at_targets[count];
        for (long i = 0; i < count; i++) {
            factor += given[i];
            const uint32_t wide = (uint32_t)mine[wanted[i]] << 16;
            memcpy(at_targets + i, &wide, sizeof wide);
        }
        for (long i = 0; i < width; i += LANES)
            store_half(mine + i, exponential(load_half(mine + i) - log_sums[row]) * -factor);
        for (long i = 0; i < count; i++) {
            float value = -factor * expf(at_targets[i] - log_sums[row]);
            for (long j = 0; j < count; j++) value += wanted[j] == wanted[i] ? given[j] : 0;
            const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_set1_ps(value));
            memcpy(mine + wanted[i], &rounded, sizeof *mine);
        }
    }
}
