"""Every row of the conformance table can fail, and names the fault; our own server has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command_in_process import in_process
from conformance_probes import all_layers, measured, probed, set_to
from faulty_server import answered, edited, renumbered
from http_in_process import KEY, serving
from symptoms.conformance import ALL_CHECKS, Probe, measured_rows, with_reference
from symptoms.service import LocalServer, connect
from waiting import PATIENCE

# What hosted Tinker no longer has, or has by another route.
APART = {"a checkpoint can be taken away", "an unloaded adapter leaves nothing"}


def test_our_own_server_is_as_documented(scaled_model: Path, tmp_path: Path):
    """All rows hold for tinker_local over HTTP, beside a second process of it."""
    with serving(scaled_model, tmp_path) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_API_KEY", KEY)
        patch.setenv("TINKER_LOCAL_HOME", str(tmp_path / "reference"))
        with connect(server.url, server.model) as service, with_reference(service, None, PATIENCE) as probe:
            rows = list(measured_rows(probe))
    assert len(rows) == len(ALL_CHECKS) >= 45
    others = {row.name: row.came for row in rows if row.verdict != "as documented"}
    assert set(others) <= APART, others


def another_seed_each_time() -> Callable[[dict[str, Any]], None]:
    made = iter(range(10**6))
    return lambda body: body["lora_config"].update(seed=next(made))


def no_empty_stop(body: dict[str, Any]) -> None:
    if body["sampling_params"].get("stop") == []:
        del body["sampling_params"]["stop"]


def no_context(body: dict[str, Any]) -> None:
    for one in body["supported_models"]:
        one.pop("max_context_length")


def served_model(scaled_model: Path) -> Callable[[dict[str, Any]], None]:
    return set_to("base_model", value=str(scaled_model))


def settings_of_the_first_step() -> Callable[[dict[str, Any]], None]:
    """As servers do that build the optimizer once, and then follow the learning rate alone."""
    first: dict[str, dict[str, Any]] = {}

    def edit(body: dict[str, Any]) -> None:
        kept = first.setdefault(body["model_id"], dict(body["adam_params"]))
        body["adam_params"] = {**kept, "learning_rate": body["adam_params"]["learning_rate"]}

    return edit


def no_older_sdk(body: dict[str, Any]) -> None:
    if body["sdk_version"] == "0.30.0":
        body["tags"] = "none of this version"


REQUESTS: list[tuple[str, str, str, Any]] = [
    ("SDK versions", "create_session", "cannot use the server", no_older_sdk),
    ("train_attn", "create_model", "the flags are ignored", all_layers),
    ("train_mlp", "create_model", "the flags are ignored", all_layers),
    ("train_unembed", "create_model", "the flags are ignored", all_layers),
    ("the flags are all there is", "create_model", "no flag names", all_layers),
    ("the adapter's seed", "create_model", "differ from the first step", another_seed_each_time()),
    ("the adapter's seed", "create_model", "differ", set_to("lora_config", "seed", value=1)),
    ("get_info", "create_model", "told wrong", set_to("lora_config", "rank", value=5)),
    ("an unknown base model", "create_model", "another model is trained", served_model),
    ("Adam's eps", "optim_step", "epsilon is fixed", set_to("adam_params", "eps", value=1e3)),
    ("Adam's settings of a later step", "optim_step", "schedules", settings_of_the_first_step()),
    ("Adam's beta1", "optim_step", "momentum", set_to("adam_params", "beta1", value=0.9)),
    ("weight decay", "optim_step", "ignored", set_to("adam_params", "weight_decay", value=0.0)),
    ("gradient clipping", "optim_step", "not clipped", set_to("adam_params", "grad_clip_norm", value=0.0)),
    ("sampling seeds", "asample", "cannot be had again", set_to("sampling_params", "seed", value=None)),
    ("sampling seeds", "asample", "cannot be had again", set_to("sampling_params", "seed", value=3)),
    ("temperature 0", "asample", "vary", set_to("sampling_params", "temperature", value=30.0)),
    ("the end token ends", "asample", "run on", set_to("sampling_params", "stop", value=[])),
    ("stop=[]", "asample", "after an end token", no_empty_stop),
    ("stop tokens", "asample", "do not end where", set_to("sampling_params", "stop", value=None)),
    ("stop strings", "asample", "do not end where", set_to("sampling_params", "stop", value=None)),
    ("num_samples", "asample", "alike", set_to("num_samples", value=1)),
    ("num_samples", "asample", "alike", set_to("sampling_params", "temperature", value=0.0)),
    ("prompt_logprobs", "asample", "cannot be scored", set_to("prompt_logprobs", value=False)),
    ("topk_prompt_logprobs", "asample", "alternatives", set_to("topk_prompt_logprobs", value=2)),
    ("resume with the optimizer", "load_weights", "another way", set_to("optimizer", value=False)),
    ("resume without the optimizer", "load_weights", "momentum", set_to("optimizer", value=True)),
    ("forward and prompt_logprobs agree", "create_sampling_session", "ratios", "the base model"),
    (
        "an old checkpoint, then the present weights",
        "create_sampling_session",
        "not sampled with",
        "the base model",
    ),
]


@pytest.mark.parametrize(
    ("name", "route", "words", "fault"),
    REQUESTS,
    ids=lambda value: getattr(value, "__name__", str(value))[:30],
)
def test_a_request_that_is_taken_otherwise_is_named(
    name: str, route: str, words: str, fault: Any, scaled_model: Path, tmp_path: Path
):
    """A server that reads one field of a request otherwise differs in that row, which says what follows."""
    if fault is served_model:
        fault = served_model(scaled_model)
    elif fault == "the base model":
        fault = lambda body: body.update(model_path=None, base_model=str(scaled_model))  # noqa: E731
    with probed(scaled_model, tmp_path, edited(route, fault)) as probe:
        (row,) = measured(probe, name)
    assert row.verdict == "differs", row
    assert words in row.consequence, row


def test_what_comes_twice_is_not_to_be_done_twice(scaled_model: Path, tmp_path: Path):
    """A server that takes a repeated request for a new one differs in both rows of it."""
    with probed(scaled_model, tmp_path, renumbered()) as probe:
        rows = measured(probe, "forward_backward is done once", "optim_step is done once")
    assert [row.verdict for row in rows] == ["differs", "differs"], rows
    assert "counts twice" in rows[0].consequence


def test_which_sdk_versions_are_let_in_is_told(scaled_model: Path, tmp_path: Path):
    """One that the server refuses is named with the reason, the others with what it says of them."""
    warn = answered("create_session", lambda body: body.update(warning_message="Soon retired."))
    with probed(scaled_model, tmp_path / "warns", warn) as probe:
        (row,) = measured(probe, "SDK versions")
    assert row.verdict == "as documented", row
    assert "0.25.0: Soon retired." in row.came
    with probed(scaled_model, tmp_path / "refuses", edited("create_session", no_older_sdk)) as probe:
        (row,) = measured(probe, "SDK versions")
    assert row.came.startswith("let in: 0.25.0, 0.34.0, 0.36.0, 0.38.0; 0.30.0: status 4"), row


def test_adapters_that_do_not_start_alike_are_not_compared(scaled_model: Path, tmp_path: Path):
    """Where the seed is not heeded, what a step is held against another adapter's for is not measured."""
    seeds = iter(range(10**6))
    # At rank 1 seeds differ most.
    another_each_time = edited(
        "create_model", lambda body: body["lora_config"].update(seed=next(seeds), rank=1)
    )
    with probed(scaled_model, tmp_path, another_each_time) as probe:
        rows = measured(probe, "weights scale the gradient", "Adam's eps", "an unknown loss")
    assert [row.verdict for row in rows] == ["not measured", "not measured", "as documented"], rows
    assert "do not start alike" in rows[0].came


def test_a_context_that_is_not_told_is_named(scaled_model: Path, tmp_path: Path):
    """Capabilities without a length differ, and what needs it is not measured."""
    with probed(scaled_model, tmp_path, answered("get_server_capabilities", no_context)) as probe:
        rows = measured(probe, "capabilities", "a datum that is too long")
    assert [row.verdict for row in rows] == ["differs", "not measured"], rows


def test_an_error_is_a_row(scaled_model: Path, tmp_path: Path):
    """What the server refuses is told in its own words, and the rows after it are measured."""
    with probed(scaled_model, tmp_path, edited("asample", set_to("num_samples", value=0))) as probe:
        rows = measured(probe, "num_samples", "get_info")
    assert [row.verdict for row in rows] == ["refused", "as documented"], rows
    assert "num_samples" in rows[0].came


def test_a_server_that_is_gone_is_not_waited_for(scaled_model: Path, tmp_path: Path):
    """After a server has ended, its rows are not measured, and that is told of each."""
    with serving(scaled_model, tmp_path) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_API_KEY", KEY)
        with connect(server.url, server.model) as service:
            gone = replace(service, url="http://127.0.0.1:9")
            rows = measured(
                Probe(replace(gone, base_model="gone")), "get_info", "num_samples", "capabilities"
            )
    assert [row.verdict for row in rows] == ["refused", "not measured", "not measured"]
    assert rows[1].came == "the server no longer answers"


def test_the_command_tells_and_writes_the_table(tmp_path: Path, server: LocalServer):
    """Each check is a line, the file holds the same rows with versions, and no path of this machine."""
    done = in_process(
        tmp_path, "conformance", "local", "--base-model", server.base_model, "--json", "rows.json",
        "--name", "ours", server=server,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "rows.json").read_text()
    report = json.loads(written)
    assert report["server"] == "ours"
    assert report["sdk"]
    assert [row["name"] for row in report["rows"]] == [check.name for check in ALL_CHECKS]
    assert all(f"{row['name']}: " in done.stdout for row in report["rows"])
    assert str(Path(server.base_model).parent) not in written
    assert server.url not in written


def test_one_check_by_its_name(tmp_path: Path, server: LocalServer):
    """--only measures that check alone, and a name that is none is told with those there are."""
    done = in_process(
        tmp_path, "conformance", "local", "--base-model", server.base_model, "--only", "num_samples",
        server=server,
    )  # fmt: skip
    assert "1 check of" in done.stdout
    assert "1 as documented, 0 differs" in done.stdout
    wrong = in_process(tmp_path, "conformance", "local", "--only", "numsamples", server=server)
    assert wrong.returncode == 2
    assert "'num_samples'" in wrong.stderr
