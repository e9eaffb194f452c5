"""A training on a server by its address measures first what it rests on, once for each server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tinker_local
from command_in_process import in_process
from conformance_probes import all_layers, reweighted, set_to
from faulty_server import Wrap, answered, edited, regraded
from faulty_service import Between, Fault
from http_in_process import KEY, serving
from symptoms.conformance import first_meeting
from symptoms.conformance.first_meeting import deviations_at_first_meeting
from symptoms.conformance.runner import software
from symptoms.service import LocalServer, connect
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


def test_a_hiccup_is_not_remembered(between: Between, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server that is down for a while is said not to have been measured; the next run measures it."""
    between.plan = lambda route, _: Fault(503) if route == "optim_step" else None
    with monkeypatch.context() as hurried:
        hurried.setattr(first_meeting, "WAIT", 1.0)
        first = trained(tmp_path, between.url, "--base-model", between.model)
    assert first.returncode == 3, first.stdout
    assert "'weights scale the gradient' could not be measured (no answer" in first.stderr
    assert "try again, or train without knowing with --no-server-check" in first.stderr
    assert not (tmp_path / "runs" / "one").exists()
    # What was not measured decides, so the checks after it are not waited for.
    assert between.asked["create_model"] <= 3
    between.forget()
    second = trained(tmp_path, between.url, "--base-model", between.model)
    assert second.returncode == 0, second.stderr
    assert MEETING in second.stdout
    assert manifest(tmp_path)["server_deviations"] == []


def no_rank_of_16(body: dict[str, Any]) -> None:
    if body["lora_config"]["rank"] == 16:
        body["lora_config"]["rank"] = 10**6


def test_a_refusal_is_remembered(tiny_model: Path, tmp_path: Path):
    """What the server says no to it will say no to again, so that this is measured once."""
    with serving(tiny_model, tmp_path / "home", edited("create_model", no_rank_of_16)) as server:
        runs = [
            trained(tmp_path, server.url, "--base-model", server.model, run=run) for run in ("one", "two")
        ]
    for done in runs:
        assert done.returncode == 0, done.stderr
        assert "not as documented: alpha at two ranks" in done.stdout
    assert [MEETING in done.stdout for done in runs] == [True, False]


def test_a_measurement_is_believed_for_a_month(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After that, a server that says the same version is measured again; so is one measured in the future."""
    monkeypatch.setenv("TINKER_API_KEY", KEY)
    with (
        serving(tiny_model, tmp_path / "home") as server,
        connect(server.url, server.model) as service,
    ):

        def is_measured() -> bool:
            meetings: list[bool] = []
            assert not deviations_at_first_meeting(service, (), lambda: meetings.append(True), tmp_path)
            return meetings == [True]

        assert is_measured()
        (file,) = tmp_path.glob("*.json")
        for days, again in ((29, False), (31, True), (-1, True)):
            kept = json.loads(file.read_text())
            kept["measured"] = (datetime.now(UTC) - timedelta(days=days)).isoformat()
            file.write_text(json.dumps(kept))
            assert is_measured() is again, days


def test_another_version_is_another_server(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Our own server tells its version at its address, by which a newer one is measured anew."""
    monkeypatch.setenv("TINKER_API_KEY", KEY)
    newer = answered("healthz", lambda body: body.update(version="9.9"))
    with (
        serving(tiny_model, tmp_path / "home") as server,
        connect(server.url, server.model) as service,
    ):
        assert software(service) == f"tinker_local {tinker_local.__version__}"
    with (
        serving(tiny_model, tmp_path / "home", newer) as server,
        connect(server.url, server.model) as service,
    ):
        assert software(service) == "tinker_local 9.9"


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
