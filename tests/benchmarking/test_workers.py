"""Workers of benchmarks: they speak lines of JSON, and ours measures the engine as it now is."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from base_models import BUNDLED_BASE, resolve
from benchmarks.cases import choose, plans
from benchmarks.contestants import Case, Contestant, Worker
from benchmarks.environments import Threads, ours
from benchmarks.measuring import measure
from benchmarks.models import SHAPES, config_of

WORK = {"count": 1, "length": 16, "trained": 8, "rank": 4, "steps": (0, 1)}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Of two that cannot be measured and our own, measured in one case in this order."""
    good = Worker("benchmarks.ours.training_step", {**WORK, "model": BUNDLED_BASE, "dtype": "auto"})
    contestants = (
        Contestant("bad", Worker("benchmarks.no_such_module", {})),
        Contestant("elsewhere", Worker("benchmarks.peers.peft_step", {}, "peers")),
        Contestant("ours", good),
    )
    case = Case("small", "a small step", "step", contestants, flops=1e6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHMARKS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return measure(case, {"ours": ours()}, 2, Threads(1))["contestants"]


def test_a_step_of_ours_is_measured_with_its_memory_and_first_loss(rows: list[dict[str, Any]]) -> None:
    """The worker runs on the engine of this checkout; a change of its names has to be followed there."""
    row = rows[2]
    assert len(row["seconds"]) == 2
    assert min(row["seconds"]) > 0
    # Random tokens are about as likely as any of the vocabulary, or less.
    assert row["loss"] > math.log(SHAPES[BUNDLED_BASE].vocabulary) - 1
    assert row["peak_bytes"] > 100 * 2**20


def test_one_that_fails_does_not_keep_the_others_from_being_measured(rows: list[dict[str, Any]]) -> None:
    """Its reason is kept, and it has no seconds."""
    assert "no_such_module" in rows[0]["failed"]
    assert "environment" in rows[1]["failed"]
    assert [len(row["seconds"]) for row in rows] == [0, 0, 2]


def test_shape_of_the_bundled_base_is_its_own() -> None:
    """Operations are counted for what is really trained."""
    told = json.loads((resolve(BUNDLED_BASE).path / "config.json").read_text())
    same = config_of(SHAPES[BUNDLED_BASE])
    sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim")
    for name in (*sizes, "num_attention_heads", "num_key_value_heads"):
        assert same[name] == told[name]


def test_a_name_is_that_of_one_case_or_of_a_curve() -> None:
    """`--only train-135m` leaves out the case with a batch, and `--only curve-rank` is all its points."""
    found = plans(beside=False)
    assert [plan.name for plan in choose(found, ["train-135m"])] == ["train-135m"]
    assert len(choose(found, ["curve-rank"])) == 4
    assert choose(found, []) == found
    with pytest.raises(ValueError, match="no case nothing"):
        choose(found, ["nothing"])
