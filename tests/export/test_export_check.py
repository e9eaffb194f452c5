"""An export is done once another program has answered as we do, and is not there otherwise."""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from checkpoints_to_export import random_adapter, saved_source
from tinker_local.cli import main
from tinker_local.errors import ExportError
from tinker_local.export import CheckFailedError, Source, export, exporting, general_questions
from tinker_local.export.checking.verification import Comparison
from tinker_local.export.forms import COARSE, EXACT, HALVED, Tolerance
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore
from tiny_models import write_tiny_model

FEW = ("I lie awake", "Two more words", "Dear all,")
"""Prompts where the check is not about how many there are: each takes its time in both programs."""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", tie_word_embeddings=True)
    return saved_source(tmp_path / "base", tmp_path / "home")


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"base", "home"}


def test_the_command_exports_and_shows_how_it_compared(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """PEFT as it is and merged, in a process of its own, with a card of the same figures.

    Prompts come from a file, one a line, and the card counts them.
    """
    prompts = tmp_path / "home" / "prompts.txt"
    prompts.write_text("\n\n".join(FEW))
    told = ["export", source.info.path, "--to", "peft", "--output", str(tmp_path / "out")]
    told += ["--home", str(tmp_path / "home"), "--prompts", str(prompts)]
    main(told)
    printed = capsys.readouterr()
    card = (tmp_path / "out" / "README.md").read_text()
    for one in (printed.out, card):
        assert "without the adapter would have passed" not in one
    for reader in ("peft", "peft, merged"):
        assert re.search(rf"^{reader} +3 of 3 +3 of 3 +\d+ of 90 +\S+ +3 of 3$", printed.out, re.MULTILINE)
        assert f"| {reader} | 3 of 3 | 3 of 3 |" in card
    assert "with 3 prompts" in card
    assert "asking peft, 1 of 3" in printed.err
    assert "vLLM (not run here)" in card
    with pytest.raises(SystemExit, match="2"):
        main(told)
    assert "is there already" in capsys.readouterr().err


def test_a_wrong_export_is_removed(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One in which the adapter counts half: the error says what is written otherwise, and nothing is left."""
    write = exporting._write

    def half(source: Source, *more: object) -> None:
        halved = random_adapter(source.base.model.config)
        halved.flat.mul_(0.5**0.5)
        write(replace(source, adapter=halved), *more)

    monkeypatch.setattr(exporting, "_write", half)
    with pytest.raises(CheckFailedError, match="answers otherwise than our own engine") as raised:
        export(source, "hf", None, tmp_path / "out", general_questions(source.base.tokenizer, FEW))
    assert raised.value.found.same_texts < len(FEW)
    assert left_in(tmp_path) == set()


def test_a_file_that_cannot_be_loaded_is_removed(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What the other program said stands in the error."""
    write = exporting._write

    def broken(source: Source, form: str, kind: str | None, folder: Path, *more: object) -> None:
        write(source, form, kind, folder, *more)
        (folder / "config.json").write_text("{")

    monkeypatch.setattr(exporting, "_write", broken)
    with pytest.raises(ExportError, match=r"transformers cannot use what was written \(.*config\.json"):
        export(source, "hf", None, tmp_path / "out", general_questions(source.base.tokenizer, FEW))
    assert left_in(tmp_path) == set()


def test_without_the_other_program_nothing_is_called_done(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """It is refused with the command that gets it; told to, it is written and says that nobody checked it."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else found(name))
    questions = general_questions(source.base.tokenizer)
    with pytest.raises(ExportError, match=r"peft is not installed.*pip install .*\[export\].*--unchecked"):
        export(source, "peft", None, tmp_path / "out", questions)
    assert left_in(tmp_path) == set()
    told = ["export", source.info.path, "--to", "peft", "--output", str(tmp_path / "out"), "--unchecked"]
    main([*told, "--home", str(tmp_path / "home")])
    assert "NOT CHECKED" in capsys.readouterr().out
    assert "**It was not checked**" in (tmp_path / "out" / "README.md").read_text()


FOUND = Comparison(
    reader="llama.cpp",
    versions="xllamacpp 1",
    prompts=20,
    lines=600,
    same_tokens=20,
    same_best=19,
    best_ties=0,
    ranks_moved=40,
    apart=0.5,
    same_texts=12,
    text_ties=1,
    first_difference=None,
)


def test_a_quantised_export_may_differ_in_a_word_and_no_other_may():
    """The best line behind 95% of the prompts is enough for one, and ties make up for what others lack."""
    assert FOUND.passes(COARSE)
    assert not replace(FOUND, same_best=18).passes(COARSE)
    assert not replace(FOUND, same_tokens=19).passes(COARSE)
    assert not replace(FOUND, apart=5.0).passes(COARSE)
    close = replace(FOUND, apart=0.026)
    assert not close.passes(HALVED)
    assert not replace(close, same_best=20).passes(HALVED)
    assert replace(close, best_ties=1, same_texts=19).passes(HALVED)


@pytest.mark.parametrize(("tolerance", "measured"), [(EXACT, 1.2e-4), (HALVED, 2.6e-2), (COARSE, 0.65)])
def test_log_probabilities_may_be_no_further_apart_than_rounding_brings_them(
    tolerance: Tolerance, measured: float
):
    """What was measured passes with room to spare; no best lines and texts make up for 5 nats."""
    same = replace(FOUND, same_best=20, same_texts=20, text_ties=0)
    assert replace(same, apart=4 * measured).passes(tolerance)
    assert not replace(same, apart=5.0).passes(tolerance)
    assert not replace(same, apart=math.inf).passes(tolerance)


def test_an_export_with_the_same_texts_and_other_likelihoods_is_removed(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One that scores everything twice as far apart ranks all as before; the error has the two numbers."""
    write = exporting._write

    def sharper(source: Source, form: str, kind: str | None, folder: Path, *more: object) -> None:
        write(source, form, kind, folder, *more)
        weights = load_file(folder / "model.safetensors")
        weights["lm_head.weight"] *= 2
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    monkeypatch.setattr(exporting, "_write", sharper)
    with pytest.raises(CheckFailedError, match=r"nats apart, where 0\.01 may be") as raised:
        export(source, "hf", None, tmp_path / "out", general_questions(source.base.tokenizer, FEW))
    assert (raised.value.found.same_best, raised.value.found.same_texts) == (len(FEW), len(FEW))
    assert left_in(tmp_path) == set()


def test_a_check_that_the_bare_base_would_pass_says_so(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Of an adapter that changes nothing: no answer can tell whether it is in what was written.

    In half the bits, and with the prompts that are there where none are told.
    """
    adapter = random_adapter(source.base.model.config)
    adapter.flat.zero_()
    path = CheckpointPath("idle:train:0", "sampler_weights", "1")
    CheckpointStore(tmp_path / "home").save(path, source.info.base_model, adapter, None, True, None, None)
    told = ["export", str(path), "--to", "hf", "--quantize", "F16", "--output", str(tmp_path / "out")]
    main([*told, "--home", str(tmp_path / "home")])
    card, printed = (tmp_path / "out" / "README.md").read_text(), capsys.readouterr().out
    assert re.search(r"^transformers +20 of 20 +20 of 20", printed, re.MULTILINE)
    for one in (printed, card):
        assert "The base without the adapter would have passed this check as well" in one


@pytest.mark.parametrize(
    ("rank", "told"),
    [
        (1, "--max-lora-rank 8 "),
        (8, "--max-lora-rank 8 "),
        (9, "--max-lora-rank 16 "),
        (32, "--max-lora-rank 32 "),
        (300, "--max-lora-rank 320 "),
        (513, "vLLM takes adapters up to rank 512, and this has 513: export --to hf"),
    ],
)
def test_vllm_is_told_a_rank_that_it_takes(rank: int, told: str, tmp_path: Path):
    """The smallest of its own that holds the adapter's; above all of them, the form that it loads instead."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM")
    source = saved_source(tmp_path / "base", tmp_path / "home", rank=rank, train_unembed=False)
    questions = general_questions(source.base.tokenizer)
    done = export(source, "peft", None, tmp_path / "out", questions, checked=False)
    assert told in (done.folder / "README.md").read_text()


def test_vllm_serves_an_adapted_unembedding_on_the_untied_base(tmp_path: Path):
    """As vLLM 0.32.0 was seen to: the card has the command, with the base that the folder brings."""
    write_tiny_model(tmp_path / "base", "LlamaForCausalLM", tie_word_embeddings=True)
    source = saved_source(tmp_path / "base", tmp_path / "home", rank=8, train_unembed=True)
    questions = general_questions(source.base.tokenizer)
    done = export(source, "peft", None, tmp_path / "out", questions, checked=False)
    assert "vllm serve FOLDER/base --dtype float32 --enable-lora" in (done.folder / "README.md").read_text()
