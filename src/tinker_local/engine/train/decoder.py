"""A decoder's forward and backward pass over whole sequences, for training an adapter.

The sequences lie one behind another without padding, and every part of a block has its derivative written out
(`kernels/`). What the backward pass needs is kept, or, where that would be too much, computed again block by
block from the blocks' inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor

from tinker_local.engine.kernels.attention import (
    QUERY_BLOCK,
    Heads,
    Kept,
    Sequences,
    attention,
    attention_backward,
    sequences_of,
)
from tinker_local.engine.kernels.gate import gated, gated_backward
from tinker_local.engine.kernels.linear import LinearGroup, LowRank, PairedLowRank, low_rank, refresh
from tinker_local.engine.kernels.matmul import rounded_up
from tinker_local.engine.kernels.norm import norm, norm_backward, normed
from tinker_local.engine.kernels.rotary import rotate_, rotate_backward_
from tinker_local.engine.model.llama import ATTENTION, FEED_FORWARD, Llama, LlamaConfig, joined_name
from tinker_local.engine.model.lora import Adapter

PADDED_TO = ((1024, 64), (256, 32), (32, 8))
"""From so many rows on they are padded to a multiple of so many."""


@dataclass(frozen=True)
class Block:
    """The weights of one layer, with the adapters beside them."""

    attention_norm: Tensor
    attention_inputs: LinearGroup
    query_norm: Tensor | None
    key_norm: Tensor | None
    attention_output: LinearGroup
    feed_forward_norm: Tensor
    feed_forward_inputs: LinearGroup
    feed_forward_output: LinearGroup


@dataclass(frozen=True)
class Tokens:
    """Sequences one behind another: their ids int64 [rows], and what the positions of the rows give.

    The rows behind the first `number` are padding, which attends to nothing and which nothing attends to.
    """

    number: int
    ids: Tensor
    cosines: Tensor
    sines: Tensor
    sequences: Sequences


@dataclass(frozen=True)
class HeadNorms:
    """What the norms of queries and keys need for their derivative: both as they were, and inverse roots."""

    inputs: Tensor
    query_inverse: Tensor
    key_inverse: Tensor


@dataclass(frozen=True)
class Activations:
    """What a block's backward pass needs of its forward pass; all but `x` can be computed from it again.

    `attention_inputs` are queries and keys as they were compared, and values, [rows, all heads, head_dim].
    `gate_and_up` [rows, 2 * intermediate_size] stand beside each other, too. What begins with `low` is what
    the adapters of a group need.
    """

    x: Tensor
    x_inverse: Tensor
    low_attention: Tensor | None
    head_norms: HeadNorms | None
    attention_inputs: Tensor
    attention_kept: Kept
    attended: Tensor
    low_attended: Tensor | None
    middle: Tensor
    middle_inverse: Tensor
    low_middle: Tensor | None
    gate_and_up: Tensor
    low_down: Tensor | None


class Keep(Enum):
    """What of a forward pass is kept for `backward`."""

    NOTHING = "nothing"
    INPUTS = "inputs"
    """Those of the blocks, each of which is computed a second time (Chen et al. 2016, arXiv:1604.06174)."""
    ALL = "all"


Saved = list[Activations] | list[Tensor]
"""For each block, what its backward pass needs, or its input [rows, hidden] alone."""


def bytes_per_token(config: LlamaConfig, element_size: int, rank: int, longest: int) -> int:
    """Bytes that `Activations` takes at most in all layers for one token of sequences up to so long."""
    queries = config.num_attention_heads * config.head_dim
    inputs = queries + 2 * config.num_key_value_heads * config.head_dim
    widths = 2 * config.hidden_size + inputs + queries + 2 * config.intermediate_size + 7 * rank
    if config.query_key_norm:
        widths += inputs
    widths += config.num_attention_heads * min(longest, QUERY_BLOCK)
    roots = 2 + (config.num_attention_heads + config.num_key_value_heads if config.query_key_norm else 0)
    return config.num_hidden_layers * (widths * element_size + roots * torch.float32.itemsize)


def micro_batch_rows(number: int) -> int:
    """So many rows, or a few more: every number has kernels of its own, which take time and memory."""
    for least, multiple in PADDED_TO:
        if number >= least:
            return rounded_up(number, multiple)
    return number


class Decoder:
    """A base model with an adapter beside it, whose gradients gather in the buffers of `gradients`."""

    def __init__(self, model: Llama, adapter: Adapter, gradients: Adapter) -> None:
        """Both adapters are float32. What the numbers of `adapter` are is read here, and by `refresh`."""
        self.model = model
        self.config = model.config
        self._adapter = adapter
        self._gradients = gradients
        self._heads = Heads(model.config.num_attention_heads, model.config.num_key_value_heads)
        self._num_rotated = self._heads.queries + self._heads.keys
        self._low_ranks: list[LowRank | PairedLowRank] = []
        tied = model.config.tie_word_embeddings
        self.unembedding = self._group("", ("lm_head",), "model.embed_tokens" if tied else "lm_head")
        self.blocks = [self._block(layer) for layer in range(model.config.num_hidden_layers)]

    def refresh(self) -> None:
        """Compute with what the adapter's numbers are now."""
        refresh(self._low_ranks)

    def tokens(self, sequences: Sequence[Tensor]) -> Tokens:
        """Sequences of ids, int64 [length], best the longest first."""
        device, dtype = self.model.device, self.model.dtype
        lengths = [len(sequence) for sequence in sequences]
        padding = torch.zeros(micro_batch_rows(sum(lengths)) - sum(lengths), dtype=torch.int64)
        positions = torch.cat([*(torch.arange(length) for length in lengths), padding]).to(device)
        half = self.config.head_dim // 2
        return Tokens(
            sum(lengths),
            torch.cat([*sequences, padding]).to(device),
            self.model.cosines[positions, :half][:, None],
            self.model.sines[positions, :half][:, None],
            sequences_of(lengths, dtype, device),
        )

    def forward(self, tokens: Tokens, keep: Keep) -> tuple[Tensor, Saved]:
        """The last block's output [rows, hidden], before the final norm, and what `backward` needs."""
        x = F.embedding(tokens.ids, self.model.weights["model.embed_tokens.weight"])
        inputs: list[Tensor] = []
        everything: list[Activations] = []
        for block in self.blocks:
            output, mine = self._forward(block, x, tokens)
            if keep is Keep.INPUTS:
                inputs.append(x)
            elif keep is Keep.ALL:
                everything.append(mine)
            x = output
        return x, inputs if keep is Keep.INPUTS else everything

    @property
    def trains_blocks(self) -> bool:
        """Whether anything below the unembedding has an adapter."""
        return self._adapter.config.train_attn or self._adapter.config.train_mlp

    def backward(self, tokens: Tokens, saved: Saved, gradient: Tensor) -> None:
        """Gather the blocks' gradients, given that to the last block's output; `saved` is used up."""
        for layer in reversed(range(len(self.blocks))):
            block, mine = self.blocks[layer], saved.pop()
            if isinstance(mine, Tensor):
                mine = self._forward(block, mine, tokens)[1]
            gradient = self._backward(block, mine, tokens, gradient, needs_input=layer > 0)

    def final_norm(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normed states [rows, hidden] of the last block's output, and what `final_norm_backward` needs."""
        return norm(x, self.model.weights["model.norm.weight"], self.config.rms_norm_eps)

    def final_norm_backward(self, gradient: Tensor, x: Tensor, inverse: Tensor) -> Tensor:
        """The gradient [rows, hidden] to `x`, from that to the normed states; `final_norm` gave `inverse`."""
        return norm_backward(gradient, x, inverse, self.model.weights["model.norm.weight"])

    def _forward(self, block: Block, x: Tensor, tokens: Tokens) -> tuple[Tensor, Activations]:
        eps = self.config.rms_norm_eps
        states, x_inverse = norm(x, block.attention_norm, eps)
        projected, low_attention = block.attention_inputs.forward(states)
        inputs = projected.view(len(x), -1, self.config.head_dim)
        inputs, head_norms = self._head_norms(block, inputs)
        rotate_(inputs[:, : self._num_rotated], tokens.cosines, tokens.sines)
        found, attention_kept = attention(inputs, self._heads, tokens.sequences)
        attended = found.flatten(1)
        output, low_attended = block.attention_output.forward(attended)
        middle = output
        states, middle_inverse = norm(middle, block.feed_forward_norm, eps, plus=x)
        gate_and_up, low_middle = block.feed_forward_inputs.forward(states)
        output, low_down = block.feed_forward_output.forward(gated(gate_and_up))
        return output.add_(middle), Activations(
            x=x,
            x_inverse=x_inverse,
            low_attention=low_attention,
            head_norms=head_norms,
            attention_inputs=inputs,
            attention_kept=attention_kept,
            attended=attended,
            low_attended=low_attended,
            middle=middle,
            middle_inverse=middle_inverse,
            low_middle=low_middle,
            gate_and_up=gate_and_up,
            low_down=low_down,
        )

    def _backward(
        self, block: Block, kept: Activations, tokens: Tokens, gradient: Tensor, needs_input: bool
    ) -> Tensor:
        """The gradient to the block's input; where it is not needed, something else."""
        to_middle = self._feed_forward_backward(block, kept, gradient)
        to_attended = block.attention_output.backward(kept.attended, kept.low_attended, to_middle)
        to_inputs = attention_backward(
            to_attended.view(len(gradient), -1, self.config.head_dim),
            kept.attention_inputs,
            kept.attention_kept,
            self._heads,
            tokens.sequences,
        )
        rotate_backward_(to_inputs[:, : self._num_rotated], tokens.cosines, tokens.sines)
        self._head_norms_backward(block, kept.head_norms, to_inputs)
        states = normed(kept.x, kept.x_inverse, block.attention_norm)
        if not needs_input:
            block.attention_inputs.backward_to_adapters(states, kept.low_attention, to_inputs.flatten(1))
            return gradient
        to_states = block.attention_inputs.backward(states, kept.low_attention, to_inputs.flatten(1))
        return norm_backward(to_states, kept.x, kept.x_inverse, block.attention_norm, plus=to_middle)

    def _feed_forward_backward(self, block: Block, kept: Activations, gradient: Tensor) -> Tensor:
        """The gradient to the state between attention and feed-forward, from both of its ways."""
        to_product = block.feed_forward_output.backward(gated(kept.gate_and_up), kept.low_down, gradient)
        to_both = gated_backward(kept.gate_and_up, to_product)
        states = normed(kept.middle, kept.middle_inverse, block.feed_forward_norm)
        to_states = block.feed_forward_inputs.backward(states, kept.low_middle, to_both)
        return norm_backward(
            to_states, kept.middle, kept.middle_inverse, block.feed_forward_norm, plus=gradient
        )

    def _head_norms(self, block: Block, inputs: Tensor) -> tuple[Tensor, HeadNorms | None]:
        """Queries and keys after their norms, where there are such, and values as they were."""
        if block.query_norm is None or block.key_norm is None:
            return inputs, None
        queries, keys, values = self._heads.parts(inputs)
        queries, query_inverse = norm(queries, block.query_norm, self.config.rms_norm_eps)
        keys, key_inverse = norm(keys, block.key_norm, self.config.rms_norm_eps)
        return torch.cat((queries, keys, values), dim=1), HeadNorms(inputs, query_inverse, key_inverse)

    def _head_norms_backward(self, block: Block, kept: HeadNorms | None, gradient: Tensor) -> None:
        """Make of the gradient to what `_head_norms` gave that to what it was given, in place."""
        if kept is None or block.query_norm is None or block.key_norm is None:
            return
        queries, keys, _ = self._heads.parts(kept.inputs)
        to_queries, to_keys, _ = self._heads.parts(gradient)
        to_queries.copy_(norm_backward(to_queries, queries, kept.query_inverse, block.query_norm))
        to_keys.copy_(norm_backward(to_keys, keys, kept.key_inverse, block.key_norm))

    def _block(self, layer: int) -> Block:
        prefix = f"model.layers.{layer}"
        weights = self.model.weights
        return Block(
            attention_norm=weights[f"{prefix}.input_layernorm.weight"],
            attention_inputs=self._group(f"{prefix}.self_attn", ATTENTION),
            query_norm=weights.get(f"{prefix}.self_attn.q_norm.weight"),
            key_norm=weights.get(f"{prefix}.self_attn.k_norm.weight"),
            attention_output=self._group(f"{prefix}.self_attn", ("o_proj",)),
            feed_forward_norm=weights[f"{prefix}.post_attention_layernorm.weight"],
            feed_forward_inputs=self._group(f"{prefix}.mlp", FEED_FORWARD),
            feed_forward_output=self._group(f"{prefix}.mlp", ("down_proj",)),
        )

    def _group(self, prefix: str, names: Sequence[str], source: str | None = None) -> LinearGroup:
        """Layers of one input; `source` names the weight where another layer's is shared."""
        weights = self.model.weights
        joined = joined_name(prefix, names)
        layers = [f"{prefix}.{name}" if prefix else name for name in names]
        laid_out = self.model.laid_out
        is_joined = f"{joined}.weight" in laid_out or f"{joined}.weight" in weights
        one = joined if is_joined else source
        sources = layers if one is None else [one]
        biases = [weights[f"{name}.bias"] for name in sources if f"{name}.bias" in weights]
        matrix = laid_out.get(f"{sources[0]}.weight")
        return LinearGroup(
            weights=matrix or tuple(weights[f"{name}.weight"] for name in sources),
            bias=torch.cat(biases) if biases else None,
            low_rank=self._low_rank(layers),
        )

    def _low_rank(self, layers: Sequence[str]) -> LowRank | PairedLowRank | None:
        """Whether layers have adapters is decided for all of one input at once."""
        if layers[0] not in self._adapter.matrices:
            return None
        adapters = [self._adapter.matrices[name] for name in layers]
        gradients = [self._gradients.matrices[name] for name in layers]
        made = low_rank(adapters, gradients, self._adapter.scale, self.model.dtype)
        self._low_ranks.append(made)
        return made
