"""Samplers: weights frozen for generation, and the requests that use them.

A request comes parsed from `server.app` or `server.openai`, becomes a `Job` and goes to
`engine.infer.scheduler`, whose token steps `engine.worker` runs; its result goes to its future in
`service.futures`, or to `server.openai.generating`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4
from weakref import WeakValueDictionary

from tinker_local.domain.generation import GenerationRequest, GenerationResult
from tinker_local.engine.infer.jobs import Job
from tinker_local.engine.infer.networks.networks import Networks
from tinker_local.engine.infer.sampling_weights import SamplingWeights
from tinker_local.engine.infer.scheduler import Scheduler
from tinker_local.engine.model.lora import Adapter
from tinker_local.engine.worker import Work, Worker
from tinker_local.errors import NotFoundError, RequestError
from tinker_local.loading import BaseModel
from tinker_local.service.checkpoints import CheckpointPath, CheckpointStore, parse_path
from tinker_local.service.futures import PROTOBUF, Future, Futures, Payload
from tinker_local.service.generations import generation_of
from tinker_local.service.served_models import find_base
from tinker_local.service.sessions import Sessions
from tinker_local.wire import answers, requests
from tinker_local.wire.samples import encode_sample

REQUESTS_OF_A_CLIENT = 1_000_000_000
"""Numbers that one client of a sampling session may use; a copy of the client begins at the next multiple."""


MakeJob = Callable[[SamplingWeights, GenerationRequest, int], Job]
"""(weights, what to generate, bytes that it takes while it waits) -> the job to queue."""
MakeNumberedJob = Callable[[int, SamplingWeights, GenerationRequest, int], Job]
"""The same, with the number of what to generate before it."""
KEPT_WEIGHTS = 2
"""Weights that were named without a session, and stay ready for the next request."""


@dataclass(frozen=True, eq=False)
class Sampler:
    """A base model with at most one adapter, neither of which training changes."""

    sampler_id: str
    session_id: str
    base: BaseModel
    adapter: Adapter | None
    model_path: str | None
    weights: SamplingWeights


class Samplers:
    """All samplers of the server."""

    def __init__(
        self,
        models: Mapping[str, BaseModel],
        store: CheckpointStore,
        worker: Worker,
        futures: Futures,
        sessions: Sessions,
    ) -> None:
        self._models, self._store, self._worker = models, store, worker
        self._futures, self._sessions = futures, sessions
        # Training adds snapshots from the engine's thread.
        self._lock = threading.Lock()
        self._samplers: dict[str, Sampler] = {}
        self._joined: dict[str, int] = {}
        self._networks = Networks()
        self._scheduler = Scheduler(wake=worker.wake)
        worker.attach(self._scheduler)
        # Samplers of the same base or the same checkpoint share their weights, and so a batch.
        self._weights_of: WeakValueDictionary[tuple[str, str], SamplingWeights] = WeakValueDictionary()
        self._named_lately: deque[SamplingWeights] = deque(maxlen=KEPT_WEIGHTS)

    async def create(self, request: requests.CreateSamplingSession) -> answers.SamplingSessionCreated:
        """A sampler of a checkpoint or of a bare base model; raises RequestError where there is none."""
        self._sessions.require(request.session_id)
        named = await self._named(request.base_model, request.model_path)
        sampler = self.add(request.session_id, request.sampling_session_seq_id, *named, request.model_path)
        self._make_ready(sampler)
        return answers.SamplingSessionCreated(sampling_session_id=sampler.sampler_id)

    def _make_ready(self, sampler: Sampler) -> None:
        """Lay its weights out while its client still prepares the first request, which would wait for it."""
        self._worker.submit(
            Work(
                lane=f"{sampler.sampler_id}/ready",
                run=lambda: sampler.weights.network(),
                # Whatever fails here is told to the first request, which tries it again.
                finish=lambda _: None,
                fail=lambda _: None,
                is_wanted=lambda: sampler.sampler_id in self._samplers,
            )
        )

    def add(
        self,
        session_id: str,
        number: int | str,
        base: BaseModel,
        adapter: Adapter | None,
        weights: SamplingWeights | None = None,
        model_path: str | None = None,
    ) -> Sampler:
        """A sampler of these weights under a number of the client's, or a name that no client chooses.

        One that is created twice is the same; `weights` are those that it shares with others. Raises
        RequestError where its session has ended meanwhile, or the number has other weights already.
        """
        weights = weights or self._new_weights(base, adapter)
        sampler_id = f"{session_id}:sample:{number}"
        sampler = Sampler(sampler_id, session_id, base, adapter, model_path, weights)
        with self._lock:
            self._sessions.require(session_id)
            known = self._samplers.setdefault(sampler_id, sampler)
        if known is not sampler and not _same_weights(known, sampler):
            raise RequestError(
                f"The sampling session {number} has other weights already; ask with the next number."
            )
        return known

    def info(self, sampler_id: str) -> answers.SamplerInfo:
        """The answer to GET samplers/{id}; raises NotFoundError where there is none."""
        sampler = self.find(sampler_id)
        # The SDK loads the sampler's tokenizer by this name, so it must be one that can be loaded.
        return answers.SamplerInfo(
            sampler_id=sampler_id, base_model=sampler.base.tokenizer_source, model_path=sampler.model_path
        )

    def of_session(self, session_id: str) -> list[str]:
        """Ids of the samplers that a session made, the oldest first; none once it is over."""
        return [key for key, sampler in self._samplers.items() if sampler.session_id == session_id]

    def find(self, sampler_id: str | None) -> Sampler:
        """Raises NotFoundError for an id that is not there, or no longer, and for None."""
        sampler = self._samplers.get(sampler_id or "")
        if sampler is None:
            raise NotFoundError(f"There is no sampler {sampler_id!r} here; create a sampling client anew.")
        return sampler

    async def sample(self, request: requests.Sample) -> tuple[Future, list[str]]:
        """Queue a generation; returns its future and an id for each sequence."""
        sampler = await self._sampler_of(request)
        self._sessions.heard(sampler.session_id)
        generation = generation_of(request, sampler.base, self._scheduler.most_tokens(sampler.base.model))
        if request.seq_id is None:
            request_id, group = f"{sampler.sampler_id}/{uuid4().hex}", None
        else:
            request_id, group = _request_id_and_group(sampler.sampler_id, request.seq_id)
        sequence_ids = [f"{request_id}/{index}" for index in range(request.num_samples)]
        known = self._futures.find(request_id)
        if known is not None:
            return known, sequence_ids
        num_bytes = _num_bytes(generation)
        self._worker.require_room(num_bytes, self._scheduler.waiting_bytes)
        future = self._futures.create(request_id, group)

        def finish(result: GenerationResult) -> None:
            body = encode_sample(result.sequences, result.prompt, request.target_prompt_logprobs)
            self._futures.complete(future, Payload(body, PROTOBUF))

        self._scheduler.submit(
            Job(
                sampler.weights,
                generation,
                finish,
                fail=lambda error: self._futures.fail(future, error),
                is_wanted=lambda: not future.cancelled,
                num_bytes=num_bytes,
            )
        )
        return future, sequence_ids

    async def queue(self, request: requests.Sample, make: MakeJob) -> None:
        """Queue a generation whose result goes to no future, but to the job that `make` makes.

        Raises RequestError where it cannot be done, and BusyError where too much waits.
        """
        sampler = await self._sampler_of(request)
        generation = generation_of(request, sampler.base, self._scheduler.most_tokens(sampler.base.model))
        num_bytes = _num_bytes(generation)
        self._worker.require_room(num_bytes, self._scheduler.waiting_bytes)
        self._scheduler.submit(make(sampler.weights, generation, num_bytes))

    def queue_all(
        self,
        sampler_id: str,
        make_generations: Callable[[BaseModel], Sequence[GenerationRequest]],
        make: MakeNumberedJob,
    ) -> None:
        """Queue what belongs together as the numbered jobs that `make` makes, so that it begins together.

        Raises NotFoundError where there is no such sampler, RequestError for what does not fit into memory,
        and BusyError where too much waits.
        """
        sampler = self.find(sampler_id)
        self._sessions.heard(sampler.session_id)
        generations = make_generations(sampler.base)
        sizes = [_num_bytes(generation) for generation in generations]
        self._worker.require_room(sum(sizes), self._scheduler.waiting_bytes)
        numbered = enumerate(zip(generations, sizes, strict=True))
        self._scheduler.submit(
            *(make(number, sampler.weights, generation, size) for number, (generation, size) in numbered)
        )

    def base_of(self, base_model: str | None, model_path: str | None) -> BaseModel:
        """The base of what is named, without loading it; raises NotFoundError where it is not there."""
        if model_path is not None:
            base_model = self._store.info(parse_path(model_path)).base_model
        return find_base(self._models, base_model or "")

    def refuse(self, numbered: requests.NumberedSample, error: RequestError) -> Future:
        """A failed future under the request's own name, where its client looks for it.

        Raises NotFoundError where there is no such sampler.
        """
        sampler = self.find(numbered.sampling_session_id)
        request_id, group = _request_id_and_group(sampler.sampler_id, numbered.seq_id)
        future = self._futures.find(request_id)
        if future is None:
            future = self._futures.create(request_id, group)
            self._futures.fail(future, error)
        return future

    async def completions(self, request: requests.RetrieveFutures, seconds: float) -> answers.Completions:
        """Which requests of a sampler's client are done since its last poll, once there is one.

        Raises NotFoundError where there is no such sampler.
        """
        target = request.target
        sampler = self.find(target.sampling_session_id)
        self._sessions.heard(sampler.session_id)
        group = _group(sampler.sampler_id, target.cloned_sampler_id)
        self._futures.retrieved(group, request.retrieved_request_ids)
        limit = seconds if request.timeout is None else min(seconds, request.timeout)
        done = await self._futures.wait_for_group(group, request.prev_cursor, limit)
        return answers.Completions(
            completions=[_completion(future) for future in done],
            cursor=done[-1].place if done else request.prev_cursor,
        )

    def join(self, sampler_id: str) -> answers.SamplingSessionJoined:
        """A number of its own for one more client of a sampler, so that their requests do not collide."""
        with self._lock:
            self.find(sampler_id)
            self._joined[sampler_id] = self._joined.get(sampler_id, 0) + 1
            return answers.SamplingSessionJoined(client_counter=self._joined[sampler_id])

    def end_session(self, session_id: str) -> None:
        """Release the samplers of a finished session."""
        with self._lock:
            for key in self.of_session(session_id):
                del self._samplers[key]
                self._joined.pop(key, None)

    async def _sampler_of(self, request: requests.Sample) -> Sampler:
        if request.sampling_session_id is not None:
            return self.find(request.sampling_session_id)
        # Not kept, since no session would ever free it.
        base, adapter, weights = await self._named(request.base_model, request.model_path)
        if weights in self._named_lately:
            self._named_lately.remove(weights)
        self._named_lately.append(weights)
        return Sampler(f"direct-{uuid4().hex}", "", base, adapter, request.model_path, weights)

    async def _named(
        self, base_model: str | None, model_path: str | None
    ) -> tuple[BaseModel, Adapter | None, SamplingWeights]:
        """What to sample from; raises RequestError where neither is named or it is not there."""
        if model_path is not None:
            # In a thread of its own, since a large adapter takes seconds to read.
            return await asyncio.to_thread(self._load, parse_path(model_path))
        if base_model is None:
            raise RequestError("Sampling needs a sampling session, a base_model or a model_path.")
        base = find_base(self._models, base_model)
        return base, None, self._shared_weights((base.name, ""), base, None)

    def _load(self, path: CheckpointPath) -> tuple[BaseModel, Adapter, SamplingWeights]:
        info = self._store.info(path)
        base = find_base(self._models, info.base_model)
        _, adapter = self._store.load(path, base.model.config)
        adapter = adapter.to(base.model.device)
        # A checkpoint that was written over has other digests.
        stamp = f"{path} {sorted(info.digests.items())}"
        return base, adapter, self._shared_weights((base.name, stamp), base, adapter)

    def _shared_weights(
        self, key: tuple[str, str], base: BaseModel, adapter: Adapter | None
    ) -> SamplingWeights:
        with self._lock:
            weights = self._weights_of.get(key)
            if weights is None:
                weights = self._weights_of[key] = self._new_weights(base, adapter)
            return weights

    def _new_weights(self, base: BaseModel, adapter: Adapter | None) -> SamplingWeights:
        return SamplingWeights(
            base.model, base.tokenizer, lambda: self._networks.get(base.sampling_model(), adapter)
        )


def _num_bytes(generation: GenerationRequest) -> int:
    """What a request takes while it waits and until its result is fetched."""
    named = generation.named_prompt_tokens
    scores = 0 if named is None else named.nbytes
    return 32 * len(generation.prompt) + 8 * generation.max_tokens * generation.num_samples + scores


def _same_weights(one: Sampler, other: Sampler) -> bool:
    # A snapshot has no path to be known by; each is of another moment.
    named = one.model_path is not None or (one.adapter is None and other.adapter is None)
    return named and one.base is other.base and one.model_path == other.model_path


def _group(sampler_id: str, clone: int) -> str:
    return f"{sampler_id}/clone-{clone}"


def _request_id_and_group(sampler_id: str, seq_id: int) -> tuple[str, str]:
    return f"{sampler_id}/{seq_id}", _group(sampler_id, seq_id // REQUESTS_OF_A_CLIENT)


def _completion(future: Future) -> answers.Completion:
    return answers.Completion(
        state="failed" if future.failed else "finished",
        request_id=future.request_id,
        response_payload_uncompressed_size=len(future.payload.body) if future.payload else None,
    )
