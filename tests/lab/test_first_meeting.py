"""A training on a server by its address measures first what it rests on, once for each server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_conformance import all_layers, reweighted, set_to

from command_in_process import in_process
from faulty_server import Wrap, edited, regraded
from http_in_process import KEY, serving
from symptoms.service import LocalServer
from training_runs import write_examples

MEETING = "as it was not met before"


def trained(folder: Path, url: str, *options: str, run: str = "one") -> Any:
    write_examples(folder / "train.jsonl", 4)
    return in_process(
        folder, "train", "--data", "train.jsonl", "--run", run, "--steps", "1", "--lora-rank", "2",
        "--service", url, *options,
        settings={"TINKER_API_KEY": KEY, "SYMPTOMS_CACHE": str(folder / "cache")},
    )  # fmt: skip


def manifest(folder: Path, run: str = "one") -> dict[str, Any]:
    return json.loads((folder / "runs" / run / "manifest.json").read_text())


def test_a_server_is_met_once(tiny_model: Path, tmp_path: Path):
    """The first run measures, the second remembers; a server as documented leaves no deviation."""
    with serving(tiny_model, tmp_path / "home") as server:
        first = trained(tmp_path, server.url, "--base-model", server.model)
        second = trained(tmp_path, server.url, "--base-model", server.model, run="two")
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert MEETING in first.stdout
    assert MEETING not in second.stdout
    assert "not as documented" not in first.stdout + second.stdout
    assert manifest(tmp_path)["server_deviations"] == []


def test_our_own_server_is_not_measured(tmp_path: Path, server: LocalServer):
    """The local service, which the command starts itself, is known."""
    write_examples(tmp_path / "train.jsonl", 4)
    done = in_process(
        tmp_path, "train", "--data", "train.jsonl", "--run", "one", "--steps", "1", "--lora-rank", "2",
        "--base-model", server.base_model, server=server,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert MEETING not in done.stdout


FLAGS = edited("create_model", all_layers)


def test_a_deviation_is_told_and_kept(tiny_model: Path, tmp_path: Path):
    """Flags that are ignored are named in both runs, measured or remembered, and stand in the manifest."""
    with serving(tiny_model, tmp_path / "home", FLAGS) as server:
        for run in ("one", "two"):
            done = trained(tmp_path, server.url, "--base-model", server.model, run=run)
            assert done.returncode == 0, done.stderr
            assert "not as documented: train_unembed: " in done.stdout
            kept = manifest(tmp_path, run)["server_deviations"]
            assert [one["check"] for one in kept] == ["train_attn", "train_mlp", "train_unembed"]
            assert all("flags are ignored" in one["consequence"] for one in kept)


@pytest.mark.parametrize(
    ("fault", "options", "named"),
    [
        (FLAGS, ["--no-train-unembed"], "train_unembed"),
        (FLAGS, ["--no-train-mlp"], "train_mlp"),
        (regraded(reweighted(lambda weights: weights * 0 + 1)), [], "weights scale the gradient"),
        (
            edited("create_model", set_to("lora_config", "train_mlp", value=False)),
            ["--no-train-attn"],
            # Which of the two tells it first hangs on how the sizes of the steps fall out.
            "train_",
        ),
    ],
    ids=[
        "the head switched off",
        "the MLP switched off",
        "weights that are ignored",
        "a layer that is left out",
    ],
)
def test_what_a_run_rests_on_is_refused(
    fault: Wrap, options: list[str], named: str, tiny_model: Path, tmp_path: Path
):
    """Where the run would not be what it says it is, none is made, and the switch is named that makes it."""
    with serving(tiny_model, tmp_path / "home", fault) as server:
        done = trained(tmp_path, server.url, "--base-model", server.model, *options)
        assert done.returncode == 3, done.stdout
        assert f"'{named}" in done.stderr
        assert "--no-server-check" in done.stderr
        assert not (tmp_path / "runs" / "one").exists()
        if named == "weights scale the gradient":
            left_out = trained(tmp_path, server.url, "--base-model", server.model, "--no-server-check")
            assert left_out.returncode == 0, left_out.stderr
            assert MEETING not in left_out.stdout
