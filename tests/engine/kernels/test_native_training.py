"""The kernels that train in bfloat16 against float32: as near as their roundings, as near as torch is."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tinker_local.domain.datum import Datum
from tinker_local.engine.kernels.attention import Heads, attention, attention_backward, sequences_of
from tinker_local.engine.kernels.cross_entropy import target_logprobs_and_gradient
from tinker_local.engine.kernels.gate import gated, gated_backward
from tinker_local.engine.kernels.linear import LinearGroup, low_rank, refresh
from tinker_local.engine.kernels.native import library as library_module
from tinker_local.engine.kernels.native.half_matmul import HalfMatrix
from tinker_local.engine.kernels.native.library import library
from tinker_local.engine.kernels.native.low_rank import Pair, PairedLowRank
from tinker_local.engine.kernels.norm import norm, norm_backward, normed
from tinker_local.engine.kernels.rotary import rotate_, rotate_backward_
from tinker_local.engine.model.lora import Adapter, LoraConfig
from tinker_local.engine.train.trainer import TrainingModel
from tinker_local.loading import load_base_model
from tiny_models import write_tiny_model

CPU = torch.device("cpu")
HALF = torch.bfloat16
pytestmark = pytest.mark.skipif(library() is None, reason="no kernels in C on this machine")


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@contextmanager
def torch_threads(number: int) -> Generator[None, None, None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def close(found: Tensor, expected: Tensor, roundings: int = 1) -> None:
    """Equal to so many roundings to bfloat16, each half of 2^-7 of a number."""
    assert found.dtype == HALF
    torch.testing.assert_close(found.float(), expected, rtol=roundings * 2**-8, atol=roundings * 1e-3)


def test_norm_forwards_and_backwards(draw: torch.Generator):
    """A sum, its norm, the norm again from its roots, and the derivative with another gradient added."""
    x, y, gradient, plus = (torch.randn((7, 64), generator=draw).to(HALF) for _ in range(4))
    weight = torch.rand(64, generator=draw).to(HALF)
    middle = x.clone()
    states, inverse = norm(middle, weight, 1e-5, plus=y)
    assert torch.equal(middle, x + y)
    wide = middle.float().requires_grad_()
    expected = wide * (wide.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight.float()
    expected.backward(gradient.float())
    assert wide.grad is not None
    close(states, expected.detach())
    assert torch.equal(normed(middle, inverse, weight), states)
    close(norm_backward(gradient, middle, inverse, weight, plus=plus), wide.grad + plus.float())


def test_rotation_and_back(draw: torch.Generator):
    """Heads turn as in float32, and the derivative turns them back; the heads beside them stay."""
    x = torch.randn((6, 5, 64), generator=draw).to(HALF)
    angles = torch.rand((6, 1, 32), generator=draw)
    first, second = x[:, :4, :32].float(), x[:, :4, 32:].float()
    expected = torch.cat(
        (first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()), dim=-1
    )
    turned = x.clone()
    rotate_(turned[:, :4], angles.cos(), angles.sin())
    close(turned[:, :4], expected)
    assert torch.equal(turned[:, 4], x[:, 4])
    rotate_backward_(turned[:, :4], angles.cos(), angles.sin())
    torch.testing.assert_close(turned[:, :4].float(), x[:, :4].float(), rtol=0.0, atol=0.04)


def test_gate_forwards_and_backwards(draw: torch.Generator):
    """Product and derivative are float32's, far from zero too."""
    both = torch.randn((9, 96), generator=draw).mul_(4).to(HALF)
    both[0, :5] = torch.tensor([-90.0, -20.0, 0.0, 20.0, 90.0])
    gradient = torch.randn((9, 48), generator=draw).to(HALF)
    wide = both.float().requires_grad_()
    product = F.silu(wide[:, :48]) * wide[:, 48:]
    product.backward(gradient.float())
    assert wide.grad is not None
    close(gated(both), product.detach())
    close(gated_backward(both, gradient.clone()), wide.grad)


@pytest.mark.parametrize("shape", [(6, 2, 64), (2, 2, 128)])
def test_attention_forwards_and_backwards(shape: tuple[int, int, int], draw: torch.Generator):
    """Sequences of unequal lengths, one of a single token, with padding behind, as autograd has them."""
    queries, keys, width = shape
    lengths, rows = (70, 33, 1), 112
    inputs = torch.randn((rows, queries + 2 * keys, width), generator=draw).to(HALF)
    gradient = torch.randn((rows, queries, width), generator=draw).to(HALF)
    heads, sequences = Heads(queries, keys), sequences_of(lengths, HALF, CPU)
    found, kept = attention(inputs, heads, sequences)
    assert isinstance(kept, Tensor)
    to_inputs = attention_backward(gradient, inputs, kept, heads, sequences)
    wide = inputs.float().requires_grad_()
    start = 0
    parts: list[Tensor] = []
    for length in lengths:
        mine = wide[start : start + length].transpose(0, 1)
        start += length
        shared = queries // keys
        q, k, v = mine[:queries], mine[queries : queries + keys], mine[queries + keys :]
        k, v = k.repeat_interleave(shared, dim=0), v.repeat_interleave(shared, dim=0)
        parts.append(F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0])
    expected = torch.cat([part.transpose(0, 1) for part in parts])
    expected.backward(gradient[: sum(lengths)].float())
    assert wide.grad is not None
    close(found[: sum(lengths)], expected.detach())
    close(to_inputs, wide.grad)
    assert not found[sum(lengths) :].any()


@pytest.mark.parametrize(("rank", "scale"), [(8, 4.0), (16, 2.0), (24, 1.5), (32, 1.0)])
@pytest.mark.parametrize("rows", [1, 13, 64])
def test_adapters_forwards_and_backwards(rank: int, scale: float, rows: int, draw: torch.Generator):
    """Two layers of one input: their terms, gradients, and that of the input, also where it is not wanted."""
    sizes = (48, 32)
    masters = [
        (torch.randn((rank, 80), generator=draw), torch.randn((size, rank), generator=draw)) for size in sizes
    ]
    a, b = torch.cat([a for a, _ in masters]).to(HALF), [b.to(HALF) for _, b in masters]
    x = torch.randn((rows, 80), generator=draw).to(HALF)
    gradient = torch.randn((rows, sum(sizes)), generator=draw).to(HALF)

    def zeros() -> list[Pair]:
        return [(torch.zeros_like(a), torch.zeros_like(b)) for a, b in masters]

    gathered, gathered_alone = zeros(), zeros()
    # Made with other numbers, so that `refresh` has to bring these.
    changing = zeros()
    adapters, alone = (
        low_rank(changing, gathered, scale, HALF),
        low_rank(masters, gathered_alone, scale, HALF),
    )
    assert isinstance(adapters, PairedLowRank)
    for (a_now, b_now), (a_next, b_next) in zip(changing, masters, strict=True):
        a_now.copy_(a_next)
        b_now.copy_(b_next)
    refresh([adapters])
    outputs = torch.zeros((rows, sum(sizes)), dtype=HALF)
    low = adapters.add_to(outputs, x)
    to_x = torch.zeros((rows, 80), dtype=HALF)
    adapters.backward(x, low, gradient, to_x)
    alone.backward(x, low, gradient, None)
    wide_x, wide_a = x.float().requires_grad_(), a.float().requires_grad_()
    wide_b = [one.float().requires_grad_() for one in b]
    wide_low = scale * wide_x @ wide_a.t()
    expected = torch.cat([wide_low[:, :rank] @ wide_b[0].t(), wide_low[:, rank:] @ wide_b[1].t()], dim=1)
    expected.backward(gradient.float())
    # `low` is rounded in between, and sums of eighty roundings are larger than one.
    size = float(expected.detach().abs().max())
    torch.testing.assert_close(outputs.float(), expected.detach(), rtol=0.02, atol=0.01 * size)
    pairs = [(to_x.float(), wide_x.grad)]
    pairs += [
        (found, wide_a.grad[number * rank : (number + 1) * rank])
        for number, (found, _) in enumerate(gathered)
    ]
    pairs += [(found, one.grad) for (_, found), one in zip(gathered, wide_b, strict=True)]
    for found, wanted in pairs:
        assert wanted is not None
        torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.01 * float(wanted.abs().max()))
    for pair, same in zip(gathered, gathered_alone, strict=True):
        assert all(map(torch.equal, pair, same))


@given(
    rows=st.integers(1, 300),
    sixteens=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    threads=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_a_laid_out_matrix_multiplies_both_ways(
    rows: int, sixteens: tuple[int, int], threads: int, seed: int
):
    """Whatever the sizes and threads both products are float32's, and a row alone has the same bits."""
    draw = torch.Generator().manual_seed(seed)
    outputs, inputs = (16 * number for number in sixteens)
    weight = torch.randn((outputs, inputs), generator=draw).to(HALF)
    # Columns of more, as a part of joined outputs is.
    x, gradient = (torch.randn((rows, width + 8), generator=draw).to(HALF) for width in (inputs, outputs))
    matrix = HalfMatrix(weight)
    with torch_threads(threads):
        found, back = matrix.forward(x[:, :inputs]), matrix.backward(gradient[:, :outputs])
    close(found, x[:, :inputs].float() @ weight.float().t())
    close(back, gradient[:, :outputs].float() @ weight.float())
    alone = matrix.forward(x[rows - 1 :, :inputs])
    assert torch.equal(alone[0], found[-1])


def test_a_gradient_longer_than_the_caches_is_summed_up_whole(draw: torch.Generator):
    """Outputs are taken in blocks, whose sums are added in float32."""
    weight, gradient = (torch.randn((size, 4096), generator=draw).to(HALF) for size in (32, 70))
    matrix = HalfMatrix(weight.t().contiguous())
    close(matrix.backward(gradient), gradient.float() @ weight.float().t(), roundings=2)


def test_a_matrix_that_lies_the_other_way_round_is_laid_out_right(draw: torch.Generator):
    """And no rows of it give no rows."""
    weight, x = (
        torch.randn((512, 1024), generator=draw).to(HALF),
        torch.randn((3, 512), generator=draw).to(HALF),
    )
    matrix = HalfMatrix(weight.t())
    close(matrix.forward(x), x.float() @ weight.float(), roundings=2)
    assert matrix.forward(x[:0]).shape == (0, 1024)
    assert matrix.backward(torch.zeros((0, 1024), dtype=HALF)).shape == (0, 512)


def test_a_gate_of_half_a_vector_is_left_to_torch(draw: torch.Generator):
    """Joined it is a multiple of sixteen, and each of the two is not."""
    both, gradient = (torch.randn((5, width), generator=draw).to(HALF) for width in (48, 24))
    wide = both.float().requires_grad_()
    expected = F.silu(wide[:, :24]) * wide[:, 24:]
    expected.backward(gradient.float())
    assert wide.grad is not None
    close(gated(both), expected.detach(), roundings=2)
    close(gated_backward(both, gradient), wide.grad, roundings=3)


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_what_is_no_number_stays_none_through_a_matrix(odd: float):
    """A row that is spoilt gives a spoilt row, and leaves its neighbours as they are."""
    matrix, x = HalfMatrix(torch.ones((48, 32), dtype=HALF)), torch.ones((3, 48), dtype=HALF)
    x[1, 5] = odd
    for found in (matrix.forward(x[:, :32]), matrix.backward(x)):
        assert found.isfinite().all(dim=1).tolist() == [True, False, True]


def test_log_probabilities_and_their_gradient(draw: torch.Generator):
    """Several targets a row, one of them named twice and one nearly certain, as autograd has them."""
    weight = torch.randn((96, 32), generator=draw).to(HALF)
    states = torch.randn((5, 32), generator=draw).to(HALF)
    weight[7] = states[0] * 3
    targets = torch.tensor([[7, 7], [1, 95], [3, 4], [0, 50], [20, 21]])
    by_logprob = torch.randn(targets.shape, generator=draw)
    group = LinearGroup((weight,), None, None)
    found, to_states = target_logprobs_and_gradient(group, states, targets, lambda rows, _: by_logprob[rows])
    scores = (states @ weight.t()).float().requires_grad_()
    logprobs = torch.log_softmax(scores, dim=-1).gather(1, targets)
    logprobs.backward(by_logprob)
    assert scores.grad is not None
    torch.testing.assert_close(found, logprobs.detach(), atol=1e-4, rtol=1e-4)
    expected = scores.grad.to(HALF).float() @ weight.float()
    torch.testing.assert_close(to_states.float(), expected, rtol=0.02, atol=0.02)


def test_a_step_is_as_near_to_float32_as_torchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Losses and gradients of a whole model, by the kernels and by torch, against the same in float32."""
    write_tiny_model(
        tmp_path,
        "LlamaForCausalLM",
        hidden_size=128,
        intermediate_size=192,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=272,
        initializer_range=0.06,
    )
    draw = np.random.default_rng(0)
    datums = [
        Datum(
            draw.integers(2, 258, length),
            {
                "target_tokens": draw.integers(2, 258, length),
                "weights": (np.arange(length) > length // 2).astype(np.float32),
            },
        )
        for length in (40, 23, 57)
    ]

    def gradients(dtype: str) -> tuple[float, Tensor]:
        base = load_base_model(str(tmp_path), dtype, CPU)
        adapter = Adapter.initial(base.model.config, LoraConfig(16), 0, CPU)
        for _, b in adapter.matrices.values():
            b.normal_(0, 0.05, generator=torch.Generator().manual_seed(1))
        model = TrainingModel(base.model, adapter, trained_on=base.training_model)
        _, metrics = model.forward_backward(datums, "cross_entropy", forward_only=False)
        return metrics["loss:sum"], model._gradients.clone()

    exact_loss, exact = gradients("float32")
    loss, found = gradients("bfloat16")
    monkeypatch.setattr(library_module, "library", lambda: None)
    torch_loss, by_torch = gradients("bfloat16")
    assert not torch.equal(found, by_torch)
    assert abs(loss - exact_loss) <= max(abs(torch_loss - exact_loss), 0.002 * exact_loss)
    error, torch_error = (float((one - exact).norm() / exact.norm()) for one in (found, by_torch))
    assert error <= 1.05 * torch_error
    assert error < 0.05
