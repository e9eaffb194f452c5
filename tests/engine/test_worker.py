"""The worker takes turns between lanes and keeps order within one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tinker_local.engine.worker import MAX_QUEUED_BYTES, Work, Worker
from tinker_local.errors import BusyError
from waiting import PATIENCE


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    """The worker in a thread of its own."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    yield
    worker.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def finish_all(works: Sequence[tuple[str, str]]) -> list[str]:
    """The order in which the worker ran (lane, name), all queued before it starts."""
    ran: list[str] = []
    left = threading.Semaphore(0)
    worker = Worker()
    for lane, name in works:
        worker.submit(
            Work(lane, lambda name=name: ran.append(name), lambda _: left.release(), lambda _: left.release())
        )
    with running(worker):
        for _ in works:
            assert left.acquire(timeout=PATIENCE)
    return ran


def test_lanes_take_turns():
    """A lane with much work does not hold up another, and each keeps its own order."""
    works = [("a", f"a{i}") for i in range(4)] + [("b", f"b{i}") for i in range(2)]
    assert finish_all(works) == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_a_failure_is_told_and_survived():
    """An error reaches the work that caused it, and the next work runs."""
    worker = Worker()
    seen: list[Any] = []
    done = threading.Event()

    def explode() -> None:
        raise ValueError("no")

    worker.submit(Work("a", explode, seen.append, seen.append))
    worker.submit(Work("a", lambda: 7, lambda outcome: (seen.append(outcome), done.set()), seen.append))
    with running(worker):
        assert done.wait(PATIENCE)
    assert isinstance(seen[0], ValueError)
    assert seen[1] == 7


def test_work_beyond_the_limit_is_refused_until_there_is_room():
    """Queued bytes are counted up and down, and one request alone is always taken."""
    worker = Worker()
    worker.require_room(MAX_QUEUED_BYTES * 2)
    done = threading.Event()
    worker.submit(Work("a", lambda: None, lambda _: done.set(), lambda _: None, num_bytes=MAX_QUEUED_BYTES))
    with pytest.raises(BusyError):
        worker.require_room(1)
    with running(worker):
        assert done.wait(PATIENCE)
    worker.require_room(MAX_QUEUED_BYTES)


def test_unwanted_work_takes_neither_turns_nor_room():
    """What an ended client has queued is let go before the next computation, and its bytes with it."""
    worker = Worker()
    worker.submit(Work("b", lambda: 1, lambda _: None, lambda _: None))
    done = threading.Event()
    rooms: list[Any] = []

    def note(outcome: object) -> None:
        rooms.append(outcome)
        done.set()

    def run() -> int:
        worker.require_room(1)
        return 2

    for _ in range(3):
        worker.submit(Work("a", run, lambda _: None, lambda _: None, MAX_QUEUED_BYTES, lambda: False))
    worker.submit(Work("b", run, note, note))
    with running(worker):
        assert done.wait(PATIENCE)
    assert rooms == [2]


def test_cancelled_work_is_left_out():
    """Work that nobody wants any more is not computed, cancelled while it waits or as it is taken."""
    ran: list[int] = []
    done = threading.Event()
    worker = Worker()
    looks = iter([True, False])
    wishes = (lambda: False, lambda: next(looks), lambda: True)
    for number, wish in enumerate(wishes):
        worker.submit(
            Work("a", lambda n=number: ran.append(n), lambda _: done.set(), lambda _: None, is_wanted=wish)
        )
    with running(worker):
        assert done.wait(PATIENCE)
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

    def run() -> None:
        steps.now += 0.5
        steps.done.append("work")

    for _ in range(4):
        worker.submit(Work("a", run, lambda _: finished.release(), lambda _: None))
    with running(worker):
        for _ in range(4):
            assert finished.acquire(timeout=PATIENCE)
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
