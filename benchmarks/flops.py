"""The floating-point operations that a LoRA step cannot do without.

A product of [n, k] with [k, m] is 2nkm operations. Through a frozen weight there are two of them: forward,
and the gradient of its input. Through an adapter's matrix there are three: also its own gradient. Norms,
activations, the softmax and the optimizer are left out: they wait for memory and not for arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama-like model."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    key_heads: int
    inner: int
    head_width: int

    def layer_matrices(self) -> list[tuple[int, int]]:
        """The linear layers of one block as (inputs, outputs): q, k, v, o, gate, up, down."""
        queries, keys = self.heads * self.head_width, self.key_heads * self.head_width
        attention = [(self.width, queries), (self.width, keys), (self.width, keys), (queries, self.width)]
        return [*attention, (self.width, self.inner), (self.width, self.inner), (self.inner, self.width)]

    @property
    def parameters(self) -> int:
        """All weights, the embedding counted once as it is the head, too; without the norms."""
        blocks = self.layers * sum(inputs * outputs for inputs, outputs in self.layer_matrices())
        return blocks + self.vocabulary * self.width


def step_flops(shape: Shape, rows: int, length: int, trained: int, rank: int) -> float:
    """Operations of forward and backward over `rows` texts of `length` tokens, `trained` of each counting.

    Only these go through the head. Attention is counted over the whole square, as all contestants compute it.
    """
    tokens, counted = rows * length, rows * trained
    frozen = adapters = 0
    for inputs, outputs in shape.layer_matrices():
        frozen += 4 * tokens * inputs * outputs
        adapters += 6 * tokens * rank * (inputs + outputs)
    # Scores and weighted values: two products forward, four backward.
    attention = 6 * 2 * rows * length**2 * shape.heads * shape.head_width
    head = 4 * counted * shape.width * shape.vocabulary
    head += 6 * counted * rank * (shape.width + shape.vocabulary)
    return shape.layers * (frozen + adapters + attention) + head
