/* All blocks of a model for a few rows in one call: what their parts are is said where they are written. */

#include "native.h"

/* Layers of one input: their matrix, adapters beside it where there are some, and a bias or none. */
struct group {
    const struct panels *base, *a, *b;
    long layers; /* that have an adapter */
    const float *bias;
    long outputs;
};

struct block {
    const float *attention_norm, *feed_forward_norm;
    struct group attention_inputs, attention_output, feed_forward_inputs, feed_forward_output;
};

/* What rows have of places: their positions, what is written where, and what each reads (attention.c). */
struct places {
    const int64_t *positions, *sources, *slots;
    long written;
    const int32_t *tables, *starts, *lengths;
    long longest;
    float *keys, *values;
    long keys_apart, values_apart; /* numbers from one layer to the next */
};

static void linear(const struct group *group, const float *x, long stride, float *low, float *y, long rows, int threads) {
    few_rows(group->base, group->a, group->b, group->layers, x, stride, low, y, group->outputs, 0, rows, threads);
    if (group->bias)
        for (long row = 0; row < rows; row++)
            for (long i = 0; i < group->outputs; i += LANES)
                store(y + row * group->outputs + i, load(y + row * group->outputs + i) + load(group->bias + i));
}

/* Final states of x [rows, hidden], the tokens' embeddings, which are used up. `room` has place for each row for
   `hidden` twice, for the inputs of attention, for what it gathers, for gate and up, their product, and for the
   widest of all A. */
void hidden_states(const struct block *blocks, long number, struct shape shape, float eps, const float *norm,
                   const float *cosines, const float *sines, const struct places *places, float *x, long hidden,
                   float *room, float *output, long rows, int threads) {
    const long heads = shape.heads * shape.width, inputs = heads + 2 * shape.kv_heads * shape.width;
    const long inner = number ? blocks->feed_forward_inputs.outputs / 2 : 0;
    float *states = room, *y = states + rows * hidden, *attention = y + rows * hidden;
    float *attended = attention + rows * inputs, *both = attended + rows * heads;
    float *product = both + rows * 2 * inner, *low = product + rows * inner;
    const float *add = NULL;
    for (long layer = 0; layer < number; layer++) {
        const struct block *block = blocks + layer;
        float *keys = places->keys + layer * places->keys_apart, *values = places->values + layer * places->values_apart;
        add_and_norm(x, add, block->attention_norm, eps, states, rows, hidden, threads);
        linear(&block->attention_inputs, states, hidden, low, attention, rows, threads);
        rotate_rows(attention, shape, places->positions, cosines, sines, rows, threads);
        write_rows(attention, shape, places->sources, places->slots, places->written, keys, values);
        attend(attention, shape, keys, values, places->tables, places->starts, places->lengths, places->longest,
               attended, rows, threads);
        linear(&block->attention_output, attended, heads, low, y, rows, threads);
        add_and_norm(x, y, block->feed_forward_norm, eps, states, rows, hidden, threads);
        linear(&block->feed_forward_inputs, states, hidden, low, both, rows, threads);
        gated(both, product, rows, inner, threads);
        linear(&block->feed_forward_output, product, inner, low, y, rows, threads);
        add = y;
    }
    add_and_norm(x, add, norm, eps, output, rows, hidden, threads);
}
