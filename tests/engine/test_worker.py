"""The worker takes turns between lanes, keeps order within one, and batches what may run together."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tinker_local.engine.worker import MAX_QUEUED_BYTES, Work, Worker
from tinker_local.errors import BusyError


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    """The worker in a thread of its own."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    yield
    worker.stop()
    thread.join(5)
    assert not thread.is_alive()


def finish_all(works: Sequence[tuple[str, Any, object]]) -> list[list[Any]]:
    """The batches in which the worker ran (lane, payload, batch key), all queued before it starts."""
    batches: list[list[Any]] = []
    left = threading.Semaphore(0)

    def run(payloads: Sequence[Any]) -> Sequence[Any]:
        batches.append(list(payloads))
        return payloads

    worker = Worker()
    for lane, payload, key in works:
        worker.submit(Work(lane, payload, run, lambda _: left.release(), lambda _: left.release(), key))
    with running(worker):
        for _ in works:
            assert left.acquire(timeout=5)
    return batches


def test_lanes_take_turns():
    """A lane with much work does not hold up another, and each keeps its own order."""
    works = [("a", f"a{i}", None) for i in range(4)] + [("b", f"b{i}", None) for i in range(2)]
    assert finish_all(works) == [["a0"], ["b0"], ["a1"], ["b1"], ["a2"], ["a3"]]


def test_equal_keys_run_together():
    """Work with one key runs as one batch; work behind other work in its lane waits for it."""
    works = [("a", 1, "k"), ("a", 2, "k"), ("b", 3, "k"), ("c", 4, None), ("c", 5, "k")]
    assert finish_all(works) == [[1, 3, 2], [4], [5]]


def test_a_failure_is_told_and_survived():
    """An error reaches the work that caused it, and the next work runs."""
    worker = Worker()
    seen: list[Any] = []
    done = threading.Event()

    def explode(_: Sequence[Any]) -> Sequence[Any]:
        raise ValueError("no")

    worker.submit(Work("a", None, explode, seen.append, seen.append))
    worker.submit(Work("a", 7, lambda p: p, lambda p: (seen.append(p), done.set()), seen.append))
    with running(worker):
        assert done.wait(5)
    assert isinstance(seen[0], ValueError)
    assert seen[1] == 7


def test_work_beyond_the_limit_is_refused_until_there_is_room():
    """Queued bytes are counted up and down, and one request alone is always taken."""
    worker = Worker()
    worker.require_room(MAX_QUEUED_BYTES * 2)
    done = threading.Event()
    worker.submit(
        Work("a", None, lambda p: p, lambda _: done.set(), lambda _: None, num_bytes=MAX_QUEUED_BYTES)
    )
    with pytest.raises(BusyError):
        worker.require_room(1)
    with running(worker):
        assert done.wait(5)
    worker.require_room(MAX_QUEUED_BYTES)


def test_unwanted_work_takes_neither_turns_nor_room():
    """What an ended client has queued is let go before the next computation, and its bytes with it."""
    worker = Worker()
    worker.submit(Work("b", 1, lambda p: p, lambda _: None, lambda _: None))
    done = threading.Event()
    rooms: list[Any] = []

    def run(payloads: Sequence[Any]) -> Sequence[Any]:
        worker.require_room(1)
        return payloads

    for _ in range(3):
        worker.submit(
            Work("a", 0, run, lambda _: None, lambda _: None, None, MAX_QUEUED_BYTES, lambda: False)
        )
    worker.submit(
        Work("b", 2, run, lambda p: (rooms.append(p), done.set()), lambda e: (rooms.append(e), done.set()))
    )
    with running(worker):
        assert done.wait(5)
    assert rooms == [2]


def test_cancelled_work_is_left_out():
    """Work that nobody wants any more is not computed, alone or in a batch."""
    ran: list[Any] = []
    done = threading.Event()

    def run(payloads: Sequence[Any]) -> Sequence[Any]:
        ran.extend(payloads)
        return payloads

    worker = Worker()
    for payload, wanted in ((1, False), (2, True), (3, False)):
        worker.submit(
            Work("a", payload, run, lambda _: done.set(), lambda _: None, "k", is_wanted=lambda w=wanted: w)
        )
    worker.submit(Work("b", 4, run, lambda _: None, lambda _: None, is_wanted=lambda: False))
    with running(worker):
        assert done.wait(5)
    assert ran == [2]


class Endless:
    """Steps without an end, each of which takes a tenth of a second by the worker's clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.has_work = True

    def step(self) -> None:
        self.now += 0.1
        self.done.append("step")


def test_steps_go_first_and_leave_work_its_turn():
    """Steps begin before work that was queued earlier, and then each takes about as long as the other."""
    steps, finished = Endless(), threading.Semaphore(0)
    worker = Worker(lambda: steps.now)
    worker.attach(steps)

    def run(payloads: Sequence[Any]) -> Sequence[Any]:
        steps.now += 0.5
        steps.done.append("work")
        return payloads

    for number in range(4):
        worker.submit(Work("a", number, run, lambda _: finished.release(), lambda _: None))
    with running(worker):
        for _ in range(4):
            assert finished.acquire(timeout=5)
    done = "".join(name[0] for name in steps.done)
    assert done.startswith("ss")
    assert [4 <= len(part) <= 6 for part in done.split("w")[1:4]] == [True] * 3


def test_steps_without_an_end_are_stopped():
    """The worker ends between two steps, however many are left."""
    steps = Endless()
    worker = Worker()
    worker.attach(steps)
    with running(worker):
        pass
    assert steps.has_work
