"""On hosted Tinker a training tells what it has cost so far, and its summary what it cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from symptoms.service import LocalServer, Service, connect
from symptoms.service.prices import Price
from training_in_process import Train

PRICE = Price(train=1000.0, prefill=1.0, as_of=date(2026, 10, 1))


@pytest.fixture
def as_if_hosted(trained: Train, server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Train:
    """The command on a server that passes for hosted Tinker, at a price that is easily seen."""

    @contextmanager
    def hosted(*arguments: Any, **options: Any) -> Iterator[Service]:
        with connect(*arguments, **options) as service:
            yield replace(service, kind="hosted")

    def price_of(name: str) -> Price | None:
        return PRICE if name == server.base_model else None

    monkeypatch.setattr("symptoms.cli.commands.train_commands.connect", hosted)
    monkeypatch.setattr("symptoms.runs.manifest.price_of", price_of)
    return trained


def test_the_cost_so_far_is_shown_and_kept(as_if_hosted: Train, tmp_path: Path):
    """Tokens of the steps and of each evaluation on dev, at the price that the manifest has with its date."""
    said = as_if_hosted(
        "--run", "paid", "--dev", "dev.jsonl", "--epochs", "2", "--batch-size", "5", "--lora-rank", "2"
    )
    run = tmp_path / "runs/paid"
    manifest, summary = (json.loads((run / name).read_text()) for name in ("manifest.json", "summary.json"))
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluations = (run / "dev_metrics.jsonl").read_text().splitlines()
    assert len(evaluations) == 2
    tokens = sum(step["num_tokens"] for step in steps)
    before = tokens + manifest["num_dev_tokens"]
    after = before + manifest["num_dev_tokens"]
    assert manifest["price"] == {"train": 1000.0, "prefill": 1.0, "as_of": "2026-10-01"}
    assert re.findall(r"\$([\d.]+) so far", said) == [f"{before / 1000:.2f}"]
    assert summary["dollars"] == pytest.approx(after / 1000)
    assert f"cost           about ${after / 1000:.2f}" in said


def test_elsewhere_no_cost_is_told(trained: Train, tmp_path: Path):
    """A server of one's own has no price."""
    said = trained("--run", "free", "--steps", "2", "--lora-rank", "2")
    assert "$" not in said
    assert json.loads((tmp_path / "runs/free/manifest.json").read_text())["price"] is None
    assert "dollars" not in json.loads((tmp_path / "runs/free/summary.json").read_text())
