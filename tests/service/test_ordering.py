"""Requests of a run are carried out in the order of their numbers, and none waits for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service_in_process import CHUNKS, Client, Service, computing
from tinker_local.engine import worker as worker_module
from tinker_local.engine.worker import Work, Worker
from tinker_local.errors import BusyError, RequestError
from tinker_local.service import ordering
from tinker_local.service.futures import Future
from tinker_local.service.ordering import MAX_AHEAD, InOrder
from waiting import PATIENCE


def in_process(model: Path, home: Path, scenario: Callable[[Service], Awaitable[None]]) -> None:
    """Run a scenario on a service that computes."""

    async def whole() -> None:
        worker = Worker()
        with computing(worker):
            await scenario(Service(model, home, worker))

    asyncio.run(whole())


def test_any_order_of_arrival_gives_the_same_weights(tiny_model: Path, tmp_path: Path):
    """Two batches of four chunks with their steps train the same to the last bit in every order."""

    async def scenario(service: Service) -> None:
        first = Client(service, await service.train(0))
        in_turn = list(range(1, 2 * (CHUNKS + 1) + 1))
        expected = [await service.done(first.send(number)) for number in in_turn]
        runs = iter(range(1, 1000))

        @settings(deadline=None, max_examples=40)
        @given(st.permutations(in_turn))
        def any_order(numbers: list[int]) -> None:
            async def arrive() -> None:
                client = Client(service, await service.train(next(runs)))
                sent = {number: client.send(number) for number in numbers}
                assert [await service.done(sent[number]) for number in in_turn] == expected
                assert torch.equal(client.weights, first.weights)

            asyncio.run_coroutine_threadsafe(arrive(), loop).result(PATIENCE)

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(any_order)

    in_process(tiny_model, tmp_path, scenario)


def test_a_number_that_never_comes_is_waited_for_only_so_long(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What waits for a number given up by its client goes on; what comes for that number later is refused."""
    monkeypatch.setattr(ordering, "WAIT_SECONDS", 0.2)

    async def scenario(service: Service) -> None:
        client = Client(service, await service.train())
        waiting = [client.chunk(2), client.chunk(4), client.step(5)]
        await asyncio.sleep(0.1)
        assert not any(future.done.is_set() for future in waiting)
        for future in waiting:
            await service.done(future)
        for late in (client.chunk, client.step):
            with pytest.raises(RequestError, match="not done twice, nor after later ones"):
                late(3)
        spent = json.loads(await service.done(client.step(6)))
        assert spent["metrics"]["grad_norm:mean"] == 0

    in_process(tiny_model, tmp_path, scenario)


def test_a_late_chunk_counts_while_nothing_has_used_the_gradients(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A first chunk that comes after the wait is added to its batch, for it is the step that spends them."""
    monkeypatch.setattr(ordering, "WAIT_SECONDS", 0.05)

    async def scenario(service: Service) -> None:
        late, prompt = [Client(service, await service.train(number)) for number in range(2)]
        await service.done(late.chunk(2))
        with pytest.raises(RequestError):
            late.step(1)
        assert late.chunk(1) is late.chunk(1)
        for client, numbers in ((late, [3]), (prompt, [1, 2, 3])):
            sent = [client.chunk(number) if number < 3 else client.step(number) for number in numbers]
            await service.done(sent[-1])
        torch.testing.assert_close(late.weights, prompt.weights, atol=1e-6, rtol=0)

    in_process(tiny_model, tmp_path, scenario)


def test_a_refused_request_keeps_its_place(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A request that cannot be carried out fails in its turn, and what follows it does not wait."""
    monkeypatch.setattr(ordering, "WAIT_SECONDS", 2 * PATIENCE)

    async def scenario(service: Service) -> None:
        client = Client(service, await service.train())
        wrong = {"model_id": client.run_id, "seq_id": 1, "adam_params": {"beta1": 2}}
        refused = service.state.refused(json.dumps(wrong).encode(), RequestError("beta1 is wrong."))
        async with asyncio.timeout(PATIENCE):
            await service.done(client.chunk(2))
            assert await client.error(refused) == "beta1 is wrong."
        again = service.state.refused(json.dumps(wrong).encode(), RequestError("beta1 is wrong."))
        assert again is refused

    in_process(tiny_model, tmp_path, scenario)


def test_what_the_held_wait_for_is_always_taken(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Held chunks count as queued, and yet the one that they wait for has room, so nothing stands still."""
    monkeypatch.setattr(worker_module, "MAX_QUEUED_BYTES", 2000)
    monkeypatch.setattr(ordering, "WAIT_SECONDS", 2 * PATIENCE)

    async def scenario(service: Service) -> None:
        client = Client(service, await service.train())
        held: list[Future] = []
        with suppress(BusyError):
            # Not a comprehension, which would lose what came before the refusal.
            for number in range(2, 100):
                held.append(client.chunk(number))  # noqa: PERF401
        assert 1 < len(held) < 90
        first = client.chunk(1)
        async with asyncio.timeout(PATIENCE):
            for future in (first, *held):
                await service.done(future)

    in_process(tiny_model, tmp_path, scenario)


def in_order() -> tuple[InOrder, list[int]]:
    released: list[int] = []
    return InOrder(asyncio.get_running_loop(), lambda work: released.append(work.run())), released


def work(number: int) -> Work:
    return Work("s", lambda: number, lambda _: None, lambda _: None)


def test_each_number_is_taken_once():
    """A number that is held, or was released, is refused, and so is one that cannot be the client's."""

    async def scenario() -> None:
        order, released = in_order()
        for number in (2, 3, 1, 5):
            order.check(number, adds_up=True)
            order.add(number, work(number), adds_up=True)
        assert released == [1, 2, 3]
        for number in (*range(1, 4), 5, 0, -1, 5 + MAX_AHEAD, 2**40):
            with pytest.raises(RequestError):
                order.check(number, adds_up=True)
        order.close()

    asyncio.run(scenario())


def test_the_wait_is_not_prolonged(monkeypatch: pytest.MonkeyPatch):
    """A stream of later requests does not put off the moment at which a missing number is given up."""
    monkeypatch.setattr(ordering, "WAIT_SECONDS", 0.2)

    async def scenario() -> None:
        order, released = in_order()
        for number in range(2, 12):
            order.add(number, work(number), adds_up=False)
            await asyncio.sleep(0.05)
        assert released == list(range(2, 12))
        order.close()

    asyncio.run(scenario())


def test_an_ended_run_holds_nothing(monkeypatch: pytest.MonkeyPatch):
    """What is held is let go when its run ends, and is not carried out."""
    monkeypatch.setattr(ordering, "WAIT_SECONDS", 0.02)

    async def scenario() -> None:
        order, released = in_order()
        order.add(2, work(2), adds_up=False)
        order.close()
        await asyncio.sleep(3 * ordering.WAIT_SECONDS)
        assert (order.held_bytes, released) == (0, [])

    asyncio.run(scenario())
