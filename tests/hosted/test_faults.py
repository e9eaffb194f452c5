"""Whatever goes wrong with a service, training ends in one sentence, and a resumed run is as if undisturbed.

The real SDK trains on a real server in float32, with faults on the way between. Seconds are shortened, not
what is done after them.
"""

from __future__ import annotations

import re
import socket
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from command_in_process import in_process
from faulty_service import Between, Fault, When
from symptoms.service import capabilities, watch
from training_runs import HELD_OUT_WORDS, lines_of, summary_of, write_examples
from waiting import PATIENCE

SETTINGS = (
    "--data", "train.jsonl", "--dev", "dev.jsonl", "--steps", "8", "--batch-size", "4", "--lora-rank", "2",
    "--learning-rate", "0.01", "--checkpoint-every", "2", "--evaluate-every", "3",
)  # fmt: skip
HASTY = watch.Patience(look_every=0.05, tell_after=0.3, tell_again=0.6, slow_after=0.8)
"""Tells after seconds, and gives up after minutes as always: a fault that passes may take its time."""
GIVES_UP = replace(HASTY, give_up_after=1.0, give_up_paying_after=0.5)
LATE = {"forward_backward": 5, "optim_step": 5, "retrieve_future": 10}
"""Requests of a route after which a run has a checkpoint and an evaluation behind it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, in which all runs of these tests lie."""
    folder = tmp_path_factory.mktemp("faults")
    write_examples(folder / "train.jsonl", 10)
    write_examples(folder / "dev.jsonl", 4, words=HELD_OUT_WORDS)
    return folder


@pytest.fixture
def undisturbed(folder: Path, between: Between) -> Path:
    """The folder, in which a run named so has come to its end."""
    if not (folder / "runs/undisturbed/summary.json").exists():
        done = train(folder, between, "undisturbed")
        assert done.returncode == 0, done.stderr
        between.forget()
    return folder


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds for minutes."""
    monkeypatch.setattr(watch, "Patience", lambda: HASTY)
    monkeypatch.setattr(capabilities, "FIRST_WAIT", 0.05)


def train(folder: Path, between: Between, run: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    told = arguments or (*SETTINGS, "--base-model", between.model, "--run", run)
    return in_process(folder, "train", *told, settings=between.settings)


def always(route: str, fault: Fault) -> When:
    return lambda asked, _: fault if asked == route else None


def check_equal(folder: Path, run: str) -> None:
    """Every step, evaluation and kept checkpoint as in the undisturbed run."""
    for file in ("metrics.jsonl", "dev_metrics.jsonl"):
        assert lines_of(folder, run, file) == lines_of(folder, "undisturbed", file)
    ours, theirs = summary_of(folder, run), summary_of(folder, "undisturbed")
    for key in ("final_loss", "best_dev_loss", "used_step", "num_steps"):
        assert ours[key] == theirs[key]


ENDS = [
    ("optim_step", Fault(402, "No credit is left."), "wants to be paid first (status 402): add credit"),
    ("forward_backward", Fault(401), "rejected the API key (status 401): check TINKER_API_KEY"),
    ("forward_backward", Fault(403, "Not for this project."), "it says: Not for this project"),
    ("retrieve_future", Fault(401), "rejected the API key (status 401): check TINKER_API_KEY"),
    ("optim_step", Fault(429, headers={"Retry-After": "1"}), "asked more often than it allows (status 429)"),
    ("retrieve_future", Fault(429), "asked more often than it allows (status 429)"),
    ("forward_backward", Fault(500), "has a fault of its own (status 500)"),
    ("retrieve_future", Fault(503), "has a fault of its own (status 503)"),
    ("retrieve_future", Fault(410), "no longer has what it was asked for (status 410)"),
    ("forward_backward", Fault(410), "no longer has what it was asked for (status 410)"),
]


@pytest.mark.parametrize(
    ("route", "fault", "sentence"), ENDS, ids=[f"{one}-{two.status}" for one, two, _ in ENDS]
)
def test_a_fault_that_stays_ends_in_a_sentence_and_the_run_goes_on_exactly(
    route: str,
    fault: Fault,
    sentence: str,
    undisturbed: Path,
    between: Between,
    monkeypatch: pytest.MonkeyPatch,
):
    """Status 3, what is wrong and how to go on; resumed without the fault, it is as if nothing had been."""
    run = f"{route}-{fault.status}"
    between.plan = lambda asked, times: fault if asked == route and times >= LATE[route] else None
    with monkeypatch.context() as hurried:
        hurried.setattr(watch, "Patience", lambda: GIVES_UP)
        done = train(undisturbed, between, run)
    between.forget()
    assert done.returncode == 3, done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert f"{between.url} " in said
    assert sentence in said
    assert said.endswith(f"go on with: symptoms train --resume {run}")
    assert "Traceback" not in done.stderr
    assert not (undisturbed / "runs" / run / "summary.json").exists()
    resumed = train(undisturbed, between, run, "--resume", run)
    assert resumed.returncode == 0, resumed.stderr
    check_equal(undisturbed, run)


PASSES = [
    ("forward_backward", Fault(429, headers={"Retry-After": "1"})),
    ("forward_backward", Fault(503)),
    ("optim_step", Fault(503, passes_on=True)),
    ("forward_backward", Fault(passes_on=True, cut=True)),
    ("retrieve_future", Fault(cut=True)),
    ("save_weights", Fault(502, passes_on=True)),
]


@pytest.mark.parametrize(
    ("route", "fault"), PASSES, ids=[f"{one}-{two.status or 'cut'}" for one, two in PASSES]
)
def test_a_fault_that_passes_leaves_no_trace(route: str, fault: Fault, undisturbed: Path, between: Between):
    """The SDK asks again, also where only the answer was lost, and no step is done twice."""
    run = f"passing-{route}-{fault.status or 'cut'}"
    between.plan = lambda asked, times: fault if asked == route and times == 2 else None
    done = train(undisturbed, between, run)
    assert done.returncode == 0, done.stderr
    assert between.asked[route] > 2
    check_equal(undisturbed, run)


def told(monkeypatch: pytest.MonkeyPatch, patience: watch.Patience) -> Event:
    """What is set once a wait has been explained."""
    explained, look = Event(), watch.Watch._look

    def looking(self: watch.Watch, began: float, before: float | None) -> float | None:
        now = look(self, began, before)
        if now is not None:
            explained.set()
        return now

    monkeypatch.setattr(watch.Watch, "_look", looking)
    monkeypatch.setattr(watch, "Patience", lambda: patience)
    return explained


def test_waiting_is_explained_while_it_lasts(
    undisturbed: Path, between: Between, monkeypatch: pytest.MonkeyPatch
):
    """With the reason and for how long it is tried; when it has passed, that is told, too."""
    explained = told(monkeypatch, replace(HASTY, slow_after=PATIENCE))
    between.plan = lambda route, times: (
        Fault(503, seconds=0.02)
        if route == "retrieve_future" and times >= LATE[route] and not explained.is_set()
        else None
    )
    done = train(undisturbed, between, "explained")
    assert done.returncode == 0, done.stderr
    assert "has a fault of its own (status 503), which mostly passes; trying again for" in done.stdout
    assert f"{between.url} answers again after" in done.stdout
    check_equal(undisturbed, "explained")


def test_a_slow_answer_is_no_fault(undisturbed: Path, between: Between, monkeypatch: pytest.MonkeyPatch):
    """What takes longer than usual is told to be at work, and ends as always."""
    explained = told(monkeypatch, replace(HASTY, tell_after=PATIENCE))
    between.plan = lambda route, times: (
        Fault(until=explained) if route == "retrieve_future" and times == 4 else None
    )
    done = train(undisturbed, between, "slow")
    assert done.returncode == 0, done.stderr
    assert re.search(f"{between.url} is still at work on the answer, for [0-9]+ s now", done.stdout)
    check_equal(undisturbed, "slow")


def test_a_state_that_is_gone_is_told_with_what_to_do(undisturbed: Path, between: Between):
    """A run whose checkpoint was retired cannot go on; that its settings can be taken again is told."""
    between.plan = lambda route, times: Fault(401) if route == "optim_step" and times >= LATE[route] else None
    assert train(undisturbed, between, "expired").returncode == 3
    for status in (404, 410):
        between.forget()
        between.plan = always("load_weights", Fault(status))
        done = train(undisturbed, between, "expired", "--resume", "expired")
        assert done.returncode == 1
        assert "from which the run expired goes on after step" in done.stderr
        assert "symptoms train --repeat expired --run NEW" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_checkpoint_that_is_gone_cannot_be_asked(undisturbed: Path, between: Between):
    """The sentence names it and what to do instead."""
    between.plan = always("create_sampling_session", Fault(404))
    done = in_process(
        undisturbed, "assess", "--run", "undisturbed", "I sleep badly.", settings=between.settings
    )
    assert done.returncode == 3
    assert "does not have tinker://" in done.stderr
    assert "train its like" in done.stderr


@pytest.mark.parametrize(
    ("status", "sentence", "is_tried_again"),
    [
        (402, "wants to be paid first", False),
        (429, "more often than it allows", True),
        (503, "has a fault of its own", True),
    ],
)
def test_a_service_that_answers_so_from_the_start_is_no_other_server(
    status: int,
    sentence: str,
    is_tried_again: bool,
    folder: Path,
    between: Between,
    monkeypatch: pytest.MonkeyPatch,
):
    """Told before anything is sent; what may pass is told once to be tried again, and what to pay is not."""
    monkeypatch.setattr(capabilities, "TRY_SECONDS", 0.5)
    between.plan = always("get_server_capabilities", Fault(status))
    done = train(folder, between, "never")
    assert done.returncode == 3
    assert sentence in done.stderr.strip().splitlines()[-1]
    assert done.stderr.count("; trying again for") == is_tried_again
    assert not (folder / "runs/never").exists()
    assert set(between.asked) == {"get_server_capabilities"}
    assert (between.asked["get_server_capabilities"] > 2) is is_tried_again


@pytest.mark.parametrize("fault", [Fault(503), Fault(429), Fault(cut=True)], ids=["503", "429", "cut"])
def test_a_run_that_goes_on_while_the_service_restarts_waits_for_it(
    fault: Fault, undisturbed: Path, between: Between, monkeypatch: pytest.MonkeyPatch
):
    """A resumed run says that it waits for a service with a fault of seconds, and then goes on exactly."""
    monkeypatch.setattr(capabilities, "TRY_SECONDS", PATIENCE)
    run = f"restarted-{fault.status or 'cut'}"
    between.plan = lambda route, times: Fault(401) if route == "optim_step" and times >= LATE[route] else None
    assert train(undisturbed, between, run).returncode == 3
    between.forget()
    between.plan = lambda route, times: fault if route == "get_server_capabilities" and times < 3 else None
    resumed = train(undisturbed, between, run, "--resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr.count("; trying again for") == 1
    check_equal(undisturbed, run)


def test_a_name_that_nobody_knows_is_told_as_such(folder: Path, between: Between):
    """And a port where nobody listens, as an address to check."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    for url, reason in (
        ("http://nowhere.invalid", "its name cannot be resolved"),
        (f"http://127.0.0.1:{port}", "ConnectError; check the address"),
    ):
        settings = {**between.settings, "TINKER_BASE_URL": url}
        done = in_process(folder, "train", "--data", "train.jsonl", "--base-model", "x", settings=settings)
        assert done.returncode == 3
        assert f"No Tinker server answers: {url} does not answer: {reason}" in done.stderr
        assert done.stderr.count("\n") == 1
