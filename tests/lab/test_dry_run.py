"""`symptoms train --dry-run`: what a run will take, on a tiny model behind a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symptoms.service import LocalServer, Service, connect
from symptoms.service.prices import Price
from symptoms.tokens import as_tokenizer, prompt_tokens
from symptoms.train import load_training_data
from symptoms.train.estimate import Work, describe
from tiny_models import tiny_tokenizer
from training_in_process import Train


def test_a_dry_run_only_tells(trained: Train, tmp_path: Path):
    """Tokens, steps and time are told, and no run directory is made."""
    said = trained("--dry-run", "--dev", "dev.jsonl", "--epochs", "3", "--batch-size", "4")
    assert "10 examples, the longest of" in said
    assert "9 steps over" in said
    assert "3 evaluations over" in said
    assert "cost: none" in said
    assert "time: about" in said
    assert not (tmp_path / "runs").exists()


def test_texts_that_stand_there_twice_are_told(trained: Train, tmp_path: Path):
    """The training goes on with them, and says in a sentence how many there are and in which lines."""
    file = tmp_path / "train.jsonl"
    rows = [json.loads(row) for row in file.read_text().splitlines()]
    texts = [f"number {number} of them" for number in range(9)] + ["Number 1, of them!"]
    told = ({**row, "input": text} for row, text in zip(rows, texts, strict=True))
    file.write_text("".join(json.dumps(row) + "\n" for row in told))
    said = trained("--dry-run")
    assert "warning: train.jsonl: 1 text stands there more than once (lines 2 and 10)" in said
    assert "10 examples, the longest of" in said


@pytest.fixture
def as_if_hosted(trained: Train, monkeypatch: pytest.MonkeyPatch) -> tuple[Train, list[str]]:
    """The command on a server that passes for hosted Tinker, and what it asked for that costs money there."""
    import tinker

    spent: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        asked = getattr(tinker.TrainingClient, name)

        def ask(*arguments: Any, **options: Any) -> Any:
            spent.append(name)
            return asked(*arguments, **options)

        return ask

    for name in ("forward", "forward_backward", "optim_step"):
        monkeypatch.setattr(tinker.TrainingClient, name, counted(name))

    @contextmanager
    def hosted(*arguments: Any, **options: Any) -> Iterator[Service]:
        with connect(*arguments, **options) as service:
            yield replace(service, kind="hosted")

    monkeypatch.setattr("symptoms.cli.commands.train_commands.connect", hosted)
    return trained, spent


def test_a_dry_run_on_hosted_tinker_spends_nothing(as_if_hosted: tuple[Train, list[str]]):
    """The time is measured only when that is asked for, once the cost has been told; else how is told."""
    command, spent = as_if_hosted
    dry = ("--dry-run", "--dev", "dev.jsonl", "--epochs", "3", "--batch-size", "4")
    said = command(*dry)
    assert spent == []
    assert "cost: the price of" in said
    measuring = "--measure trains 4 steps to find out, which costs as much as training on"
    assert f"time: not measured; {measuring}" in said
    said = command(*dry, "--measure")
    assert spent == ["forward_backward", "optim_step"] * 4
    assert 0 < said.index("cost: ") < said.index("measuring a few steps") < said.index("time: about")


def test_the_price_of_measuring_is_told_where_it_is_known(
    as_if_hosted: tuple[Train, list[str]], server: LocalServer, monkeypatch: pytest.MonkeyPatch
):
    """In dollars, of the steps that would be trained and no others."""
    command, _ = as_if_hosted
    price = {"train": 1000.0, "prefill": 1.0, "as_of": "2026-10-01"}
    monkeypatch.setattr(
        "symptoms.train.estimate.price_of",
        lambda name: {server.base_model: Price.model_validate(price)}[name],
    )
    said = command("--dry-run", "--steps", "2", "--batch-size", "10")
    [tokens] = re.findall(r"2 steps over ([\d,]+) tokens", said)
    assert (
        f"--measure trains 2 steps to find out, which costs about ${int(tokens.replace(',', '')) / 1000:.2f}"
        in said
    )
    price["train"] = 0.1
    assert "which costs less than $0.01" in command("--dry-run", "--steps", "2", "--batch-size", "10")


def test_classifying_dev_texts_counts_in_the_cost(trained: Train, tmp_path: Path):
    """Each text is read once for each label at each evaluation; the time leaves that out, and says so."""
    said = trained("--dry-run", "--dev", "dev.jsonl", "--epochs", "3", "--batch-size", "4", "--dev-accuracy")
    tokenizer = as_tokenizer(tiny_tokenizer())
    examples = load_training_data(tmp_path / "dev.jsonl", "dev").examples
    prompts = sum(len(prompt_tokens(tokenizer, example.input)) for example in examples)
    assert f"about {3 * 4 * prompts:,} tokens more to classify dev texts" in said
    assert re.search(r"time: about \S+ minutes, without classifying dev texts", said)
    said = trained("--dry-run", "--dev", "dev.jsonl", "--epochs", "3", "--batch-size", "4")
    assert "classify" not in said


def test_the_price_on_hosted_tinker():
    """Training and dev tokens cost the price of training, classified ones that of prefill."""

    def sentences(base_model: str, classified: int = 0) -> str:
        service = Service("hosted", "https://x", base_model, None, {}, {}, None, "tml-x")  # type: ignore[arg-type]
        work = Work(10, 5, 2_000_000, 1_000_000, 90, 1, 1_000_000, classified)
        return "\n".join(describe(work, service))

    assert "cost: about $2.21 at the price of 2026-10-06, $0.737 for" in sentences("Qwen/Qwen3.5-4B")
    assert "cost: about $2.54 at the price of 2026-10-06" in sentences("Qwen/Qwen3.5-4B", 1_000_000)
    assert "the price of some/model is not known here" in sentences("some/model")
