"""The kernels in C against torch: bit for bit where they promise it, and to rounding elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tinker_local.engine.kernels import vocabulary
from tinker_local.engine.kernels.native import library as library_module
from tinker_local.engine.kernels.native.attention import PageReads, PageWrites, attend, rotate_and_write_
from tinker_local.engine.kernels.native.few_rows import BlockLengths, FewRowsLowRank
from tinker_local.engine.kernels.native.library import SWITCH, Shape, library
from tinker_local.engine.kernels.native.panels import GROUP, LANES, Form, Panels, compact_panels, float_panels
from tinker_local.engine.kernels.native.pointwise import add_and_norm, gated
from tinker_local.engine.kernels.norm import norm
from tinker_local.engine.kernels.pointwise import rotate
from tinker_local.engine.kernels.vocabulary import MOST_BEST, likeliest, log_sums, token_behind_the_best
from tinker_local.engine.model.packing import packed_matrix

needs_kernels = pytest.mark.skipif(library() is None, reason="no kernels in C on this machine")


def numbers(panels: Panels) -> Tensor:
    """The matrix float32 [outputs, inputs] that panels stand for."""
    shape = (panels.outputs // LANES, panels.inputs // GROUP)
    data = panels.data.view(*shape, -1)
    if panels.form is Form.FLOAT32:
        found = data.view(torch.float32).view(*shape, GROUP, LANES)
    elif panels.form is Form.BFLOAT16:
        found = data.view(torch.bfloat16).float().view(*shape, GROUP, LANES)
    else:
        width = 4 * LANES
        scale = data[..., :width].contiguous().view(torch.float32)[..., None, :]
        if panels.form is Form.SYMMETRIC8:
            found = data[..., width:].contiguous().view(torch.int8).view(*shape, GROUP, LANES) * scale
        else:
            least = data[..., width : 2 * width].contiguous().view(torch.float32)[..., None, :]
            pairs = data[..., 2 * width :].view(*shape, GROUP // 2, LANES)
            times = torch.stack((pairs & 15, pairs >> 4), dim=3).view(*shape, GROUP, LANES)
            found = times * scale + least
    return found.permute(0, 3, 1, 2).reshape(panels.outputs, panels.inputs)


def rounded(form: Form, outputs: int, inputs: int, seed: int) -> Tensor:
    """Random weights as a model has them that was stored in this form, widened to float32."""
    generator = torch.Generator().manual_seed(seed)
    plain = torch.randn((outputs, inputs // 32, 32), generator=generator)
    if form is Form.BFLOAT16:
        plain = plain.bfloat16().float()
    elif form is Form.SYMMETRIC8:
        scale = (plain.abs().amax(dim=-1, keepdim=True) / 127).half().float()
        plain = (plain / scale).round().clamp(-127, 127) * scale
    elif form is Form.AFFINE4:
        least = plain.amin(dim=-1, keepdim=True).half().float()
        scale = ((plain.amax(dim=-1, keepdim=True) - least) / 15).half().float()
        plain = ((plain - least) / scale).round().clamp(0, 15) * scale + least
    return plain.reshape(outputs, inputs)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(list(Form)), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**31))
def test_a_stored_form_is_found_and_gives_every_number_back(form: Form, panels: int, groups: int, seed: int):
    """Weights that were rounded to a form are seen to be, and come back to the last bit."""
    weight = rounded(form, 16 * panels, 32 * groups, seed)
    found = compact_panels(weight)
    if form is Form.FLOAT32:
        assert found is None
        assert torch.equal(numbers(float_panels(weight)), weight)
    else:
        assert found is not None
        assert found.form is form
        assert torch.equal(numbers(found), weight)


def test_q4_0_of_gguf_is_four_bits_too():
    """Sixteen steps of which the farthest number from zero is the first."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.randn((16, 2, 1), generator=generator).half().float()
    times = torch.randint(0, 16, (16, 2, 32), generator=generator)
    times[..., 0] = 0
    weight = ((times - 8) * scale).reshape(16, 64)
    found = compact_panels(weight)
    assert found is not None
    assert found.form is Form.AFFINE4
    assert torch.equal(numbers(found), weight)


def test_one_number_that_does_not_fit_keeps_the_whole_matrix_as_it_is():
    """A form is taken only where all numbers come back."""
    weight = rounded(Form.AFFINE4, 32, 64, 0)
    weight[31, 63] += 1e-3
    found = compact_panels(weight)
    assert found is None


@needs_kernels
@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("shape", [(96, 576), (576, 1536), (64, 32), (16, 2080)])
def test_few_rows_are_those_of_many_to_the_last_bit(form: Form, shape: tuple[int, int]):
    """One to sixteen rows by the kernel equal the same rows among forty by oneDNN."""
    weight = rounded(form, *shape, seed=1)
    matrix = BlockLengths().matrix([weight], packed_matrix(weight), only_compact=form is not Form.FLOAT32)
    assert matrix.few is not None
    assert matrix.few.panels.form is form
    x = torch.randn((40, shape[1]), generator=torch.Generator().manual_seed(2))
    many = matrix(x)
    torch.testing.assert_close(many, x @ weight.t(), atol=1e-3, rtol=1e-4)
    for rows in (*range(1, 20), 33, 39):
        assert torch.equal(matrix(x[:rows].contiguous()), many[:rows])


@needs_kernels
def test_adapters_beside_a_matrix_add_the_same_to_few_rows_and_to_many():
    """Two layers of one input with their adapters: few and many rows agree to the last bit."""
    lengths = BlockLengths()
    draw = torch.Generator().manual_seed(3)
    parts = [rounded(Form.BFLOAT16, 64, 96, 4), rounded(Form.BFLOAT16, 32, 96, 5)]
    a = torch.randn((64, 96), generator=draw)
    b = [torch.randn((len(part), 32), generator=draw) for part in parts]
    joined = torch.cat(parts)
    base = lengths.matrix(parts, packed_matrix(joined), only_compact=True)
    low_rank = FewRowsLowRank(lengths.adapter_matrix(a, a), [lengths.adapter_matrix(one, one) for one in b])
    x = torch.randn((30, 96), generator=draw)
    many = low_rank.applied(base, x)
    low = x @ a.t()
    expected = x @ joined.t() + torch.cat([low[:, :32] @ b[0].t(), low[:, 32:] @ b[1].t()], dim=1)
    torch.testing.assert_close(many, expected, atol=1e-3, rtol=1e-4)
    for rows in (1, 2, 7, 16):
        assert torch.equal(low_rank.applied(base, x[:rows].contiguous()), many[:rows])


@needs_kernels
def test_norm_and_gate_are_torchs():
    """Sum, norm and gate of rows come out as torch computes them, far from zero too."""
    draw = torch.Generator().manual_seed(6)
    x, y = torch.randn((5, 64), generator=draw), torch.randn((5, 64), generator=draw)
    weight = torch.randn(64, generator=draw)
    states, _ = norm(x + y, weight, 1e-5)
    changed = x.clone()
    torch.testing.assert_close(add_and_norm(changed, y, weight, 1e-5), states)
    assert torch.equal(changed, x + y)
    torch.testing.assert_close(add_and_norm(x, None, weight, 1e-5), norm(x, weight, 1e-5)[0])
    both = torch.cat([torch.linspace(-120, 120, 320).view(5, 64), y], dim=1)
    torch.testing.assert_close(gated(both), F.silu(both[:, :64]) * y)


@needs_kernels
@pytest.mark.parametrize(("heads", "width"), [((9, 3), 64), ((4, 4), 16), ((2, 1), 80)])
def test_attention_over_pages_is_torchs(heads: tuple[int, int], width: int):
    """Rows of two sequences, whose pages lie apart, gather what whole sequences do with torch."""
    draw = torch.Generator().manual_seed(7)
    lengths, tables = (37, 16), ([5, 2, 4], [1])
    rows = sum(lengths)
    num_heads, kv_heads = heads
    inputs = torch.randn((rows, (num_heads + 2 * kv_heads) * width), generator=draw)
    positions = torch.cat([torch.arange(length) for length in lengths])
    angles = torch.rand((64, width // 2), generator=draw).repeat(1, 2)
    cosines, sines = angles.cos(), angles.sin()
    keys = torch.zeros((6, kv_heads, width, 16))
    values = torch.zeros((6, 16, kv_heads, width))
    slots = [
        tables[number][position // 16] * 16 + position % 16
        for number, length in enumerate(lengths)
        for position in range(length)
    ]
    by_head = inputs.view(rows, -1, width)
    turned = rotate(
        by_head[:, : num_heads + kv_heads], cosines[positions][:, None], sines[positions][:, None]
    )
    expected: list[Tensor] = []
    start = 0
    for length in lengths:
        mine = slice(start, start := start + length)
        q = turned[mine, :num_heads].transpose(0, 1)
        k, v = turned[mine, num_heads:].transpose(0, 1), by_head[mine, num_heads + kv_heads :].transpose(0, 1)
        shared = num_heads // kv_heads
        k, v = k.repeat_interleave(shared, dim=0), v.repeat_interleave(shared, dim=0)
        gathered = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        expected.append(gathered.transpose(0, 1).reshape(length, -1))
    shape = Shape(num_heads, kv_heads, width)
    writes = PageWrites(torch.arange(rows), torch.tensor(slots))
    rotate_and_write_(inputs, shape, positions, (cosines, sines), writes, (keys, values))
    seen = [(number, position + 1) for number, length in enumerate(lengths) for position in range(length)]
    found = attend(inputs, shape, PageReads.of(tables, seen), (keys, values))
    torch.testing.assert_close(found, torch.cat(expected), atol=2e-5, rtol=1e-4)


@needs_kernels
def test_what_is_no_number_does_not_vanish():
    """Diverged weights are noticed by their results, so no kernel may make a number of them."""
    both = torch.ones((2, 64))
    both[1, 3] = torch.nan
    assert gated(both).isnan().sum() == 1
    keys, values = torch.ones((2, 1, 32, 16)), torch.ones((2, 16, 1, 32))
    inputs = torch.ones((2, 96))
    inputs[1, 0] = torch.nan
    found = attend(inputs, Shape(1, 1, 32), PageReads.of([[1]], [(0, 5), (0, 5)]), (keys, values))
    assert not found[0].isnan().any()
    assert found[1].isnan().all()


def library_of_a_new_process() -> object:
    """What `library` finds where nothing was tried before."""
    library_module._made.cache_clear()
    return library.__wrapped__()


@pytest.fixture
def tried_anew() -> Iterator[None]:
    """What was found out about compiling here is not what the next test is to find."""
    yield
    library_module._made.cache_clear()


@pytest.mark.usefixtures("tried_anew")
def test_without_a_compiler_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No compiler, one that fails, a cache that is taken, the switch: no error, and the reason is told."""
    monkeypatch.setattr(library_module, "_suits", lambda: True)
    monkeypatch.setattr(library_module.platformdirs, "user_cache_dir", lambda _name: str(tmp_path))

    def told() -> str:
        library_module._made.cache_clear()
        lines: list[str] = []
        library_module.prepare(lines.append)
        assert library.__wrapped__() is None
        return " ".join(lines)

    monkeypatch.setattr(library_module.shutil, "which", lambda _name: None)
    assert "install a C compiler" in told()
    monkeypatch.setattr(library_module.shutil, "which", lambda _name: "/bin/false")
    assert "/bin/false cannot compile its kernels (it says nothing)" in told()
    (tmp_path / "taken").touch()
    monkeypatch.setattr(library_module.platformdirs, "user_cache_dir", lambda _name: str(tmp_path / "taken"))
    assert "taken/kernels cannot be written" in told()
    monkeypatch.undo()
    monkeypatch.setenv(SWITCH, "0")
    assert library.__wrapped__() is None


@pytest.mark.usefixtures("tried_anew")
def test_what_cannot_be_compiled_is_tried_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A start says why there are no kernels, and does not wait for the same compiler again."""
    tries = tmp_path / "tries"
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\necho >> {tries}\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(library_module, "_suits", lambda: True)
    monkeypatch.setattr(library_module.platformdirs, "user_cache_dir", lambda _name: str(tmp_path / "cache"))
    monkeypatch.setattr(library_module.shutil, "which", lambda _name: str(compiler))
    library_module._made.cache_clear()
    lines: list[str] = []
    library_module.prepare(lines.append)
    assert library.__wrapped__() is None
    assert "cannot compile its kernels" in lines[-1]
    assert tries.read_text() == "\n"


@pytest.fixture
def one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the sources one, which is soon compiled; that all of them compile, the other tests see."""
    monkeypatch.setattr(library_module, "SOURCES", ("pointwise.c",))


@needs_kernels
@pytest.mark.usefixtures("tried_anew", "one_source")
def test_the_kernels_are_compiled_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The first call compiles into the user's cache; the next finds the file, and needs no compiler."""
    monkeypatch.setattr(library_module.platformdirs, "user_cache_dir", lambda _name: str(tmp_path))
    assert library_of_a_new_process() is not None
    [made] = (tmp_path / "kernels").glob("*.so")
    monkeypatch.setattr(library_module.shutil, "which", lambda _name: None)
    assert library_of_a_new_process() is not None
    assert {file.suffix for file in (tmp_path / "kernels").iterdir()} == {".so", ".sha256"}
    assert made.exists()


@needs_kernels
@pytest.mark.usefixtures("tried_anew", "one_source")
def test_a_part_of_a_library_is_not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A file that was cut off is made anew, and what a process left that was ended meanwhile is removed."""
    monkeypatch.setattr(library_module.platformdirs, "user_cache_dir", lambda _name: str(tmp_path))
    left = tmp_path / "kernels" / "unfinished-1"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    whole = library_module._make().read_bytes()
    assert not left.exists()
    file = library_module._make()
    for damaged in (whole[: len(whole) // 2], b""):
        file.write_bytes(damaged)
        assert library_module._make().read_bytes() != damaged
    file.with_suffix(".sha256").unlink()
    assert library_of_a_new_process() is not None


@needs_kernels
@settings(deadline=None, max_examples=60)
@example(rows=1, width=249, kind="spread", temperature=1.0, seed=179)
@given(
    st.integers(1, 4),
    st.integers(1, 700),
    st.sampled_from(["spread", "ties", "falling", "one"]),
    st.floats(0.1, 3),
    st.integers(0, 2**31),
)
def test_the_likeliest_of_a_vocabulary_are_those_of_a_full_sort(
    rows: int, width: int, kind: str, temperature: float, seed: int
):
    """Best scores, the first of equals, masses and sums are those of float64, for any width."""
    scores = torch.randn((rows, width), generator=torch.Generator().manual_seed(seed)) * 5
    if kind == "ties":
        scores = scores.round()
    elif kind == "falling":
        scores = scores.sort(dim=-1, descending=True).values
    elif kind == "one":
        scores = torch.full_like(scores, -2.5)
    temperatures = torch.tensor([temperature, *[1.0] * rows])[:rows]
    count = min(MOST_BEST, width)
    found = likeliest(scores, temperatures, count)
    ordered = scores.double().sort(dim=-1, descending=True, stable=True)
    assert torch.equal(found.tokens.long(), ordered.indices[:, :count])
    assert torch.equal(found.scores.double(), ordered.values[:, :count])
    scaled = (scores.double() - ordered.values[:, :1]) / temperatures.double()[:, None]
    torch.testing.assert_close(found.masses.double(), scaled.exp().sum(dim=-1), rtol=3e-6, atol=0)
    torch.testing.assert_close(
        found.log_sums.double(), scores.double().logsumexp(dim=-1), rtol=1e-6, atol=1e-5
    )
    assert torch.equal(found.log_sums, log_sums(scores))


@needs_kernels
@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_row_with_what_is_no_number_has_no_sum_and_the_others_have(odd: float):
    """One odd score leaves its row without a sum; rows beside it are as they were."""
    scores = torch.randn((3, 300), generator=torch.Generator().manual_seed(1))
    whole = likeliest(scores, torch.ones(3), MOST_BEST)
    scores[1, 200] = odd
    found = likeliest(scores, torch.ones(3), MOST_BEST)
    assert found.log_sums.isnan().tolist() == [False, True, False]
    for row in (0, 2):
        assert torch.equal(found.tokens[row], whole.tokens[row])


@needs_kernels
def test_tokens_that_cannot_be_come_last():
    """Scores of minus infinity are the last of the best, each of them once."""
    scores = torch.full((1, 200), -torch.inf)
    scores[0, 150:160] = torch.arange(10.0)
    found = likeliest(scores, torch.ones(1), MOST_BEST)
    assert found.tokens[0].tolist() == [*range(159, 149, -1), *range(MOST_BEST - 10)]


@settings(deadline=None, max_examples=60)
@example(width=100, ties=False, temperature=1.0, share=1.0, seed=3)
@given(st.integers(70, 400), st.booleans(), st.floats(0.3, 2), st.floats(0, 1), st.integers(0, 2**31))
@pytest.mark.parametrize("native", [pytest.param(True, marks=needs_kernels), False])
def test_what_is_behind_the_best_is_drawn_by_its_mass(
    native: bool, width: int, ties: bool, temperature: float, share: float, seed: int
):
    """A point falls on the token whose part of the rest's mass holds it, in the vocabulary's order."""
    scores = torch.randn((1, width), generator=torch.Generator().manual_seed(seed)) * 3
    scores = scores.round() if ties else scores
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(vocabulary, "_is_for_kernels", lambda _: False)
        best = likeliest(scores, torch.tensor([temperature]), MOST_BEST)
        tokens = best.tokens[0].tolist()
        masses = ((scores[0].double() - scores.max().double()) / temperature).exp()
        masses[tokens] = 0
        ends = masses.cumsum(0)
        point = share * float(ends[-1]) * 1.01
        found = token_behind_the_best(scores[0], best.scores[0].tolist(), tokens, temperature, point)
    assert found not in tokens
    slack = 1e-5 * float(ends[-1])
    assert float(ends[found] - masses[found]) <= point + slack
    assert point <= float(ends[found]) + slack or not masses[found + 1 :].any()


@needs_kernels
def test_the_compiler_has_nothing_to_say():
    """No source is warned about: what is forgotten in C, a result too, comes out right by chance."""
    compiler = next(filter(None, map(shutil.which, library_module.COMPILERS)))
    for source in library_module.SOURCES:
        command = [compiler, *library_module.OPTIONS, "-fopenmp", "-Wall", "-fsyntax-only"]
        said = subprocess.run(
            [*command, str(library_module.FOLDER / source)], capture_output=True, text=True, check=True
        )
        assert said.stderr == ""
