"""Generation in token steps: requests come and go between any two of them (continuous batching).

A step takes the next token of every sequence of one set of weights, and pieces of prompts as far as its
budget goes, through the model at once (Yu et al. 2022, "Orca"; prompts in pieces as in Agrawal et al. 2023,
arXiv:2308.16369). A request that arrives joins at the next step, a sequence that is finished leaves at once,
and one that nobody wants any more is dropped. Weights take turns by step.

Where memory ends, the newest sequences give back their pages and are computed again later, which changes
nothing in them: see `kv_cache/paged_attention.py` for why rows do not depend on the rows beside them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary, finalize

from tinker_local.engine.infer.jobs import Feed, Job, release
from tinker_local.engine.infer.networks.native_network import is_native
from tinker_local.engine.infer.token_step import TokenStep
from tinker_local.engine.infer.token_step_plan import TokenStepPlan
from tinker_local.engine.kv_cache.pages import PAGE_TOKENS, KeyValuePages
from tinker_local.engine.kv_cache.prefix_cache import Memory, PrefixCache
from tinker_local.engine.model.llama import Llama
from tinker_local.errors import RequestError

MAX_SLOTS = 64
"""Sequences that grow at once; the others wait. Scores over the vocabulary are made for no more rows."""


class Scheduler:
    """All sampling requests. `submit` and `most_tokens` may be called from any thread."""

    def __init__(
        self,
        num_pages: int | None = None,
        max_slots: int = MAX_SLOTS,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`num_pages` is the memory of each base model, by default what `kv_cache/pages.py` finds right."""
        self._num_pages = num_pages
        self.max_slots = max_slots
        self._wake = wake
        self._lock = threading.Lock()
        self._incoming: list[Job] = []
        self._jobs: list[Job] = []
        self._turns: deque[int] = deque()
        self._memory: WeakKeyDictionary[Llama, Memory] = WeakKeyDictionary()
        # Weights that are gone, told by whichever thread drops them last.
        self._gone: deque[tuple[Llama, int]] = deque()
        self._known: set[int] = set()

    def submit(self, *jobs: Job) -> None:
        """Let requests join at the next step, where one too long for the memory fails by `job.fail`."""
        with self._lock:
            self._incoming += jobs
        self._wake()

    @property
    def has_work(self) -> bool:
        """Whether `step` has requests to go on with, or prompts of dropped weights to forget."""
        return bool(self._incoming or self._jobs or self._gone)

    @property
    def waiting_bytes(self) -> int:
        """What the requests that are here hold, by their own count."""
        with self._lock:
            return sum(job.num_bytes for job in (*self._incoming, *self._jobs))

    def step(self) -> None:
        """Compute one step for one set of weights, and deliver what is finished."""
        self._admit()
        while self._gone:
            base, number = self._gone.popleft()
            self._memory_of(base).cache.drop(number)
        for job in [job for job in self._jobs if not job.is_wanted()]:
            self._remove(job)
        numbers = {job.weights.number for job in self._jobs}
        self._turns = deque(number for number in self._turns if number in numbers)
        self._turns.extend(sorted(numbers - {*self._turns}))
        if not self._turns:
            return
        turn = self._turns[0]
        self._turns.rotate(-1)
        jobs = [job for job in self._jobs if job.weights.number == turn]
        try:
            TokenStep(self, jobs, self._memory_of(jobs[0].weights.base)).run()
        # The thread must outlive whatever a request does to it; the client is told what happened.
        except Exception as error:  # noqa: BLE001
            for job in jobs:
                self.fail(job, error)

    def _admit(self) -> None:
        with self._lock:
            incoming, self._incoming = self._incoming, []
            self._jobs += incoming
        for job in incoming:
            weights = job.weights
            if weights.number not in self._known:
                self._known.add(weights.number)
                finalize(weights, self._gone.append, (weights.base, weights.number)).atexit = False
            request, most = job.request, self.most_tokens(weights.base)
            if len(request.prompt) + request.max_tokens > most:
                fault = (
                    f"The prompt of {len(request.prompt)} tokens and {request.max_tokens} new ones do not fit"
                )
                self.fail(job, RequestError(f"{fault} into the memory for {most}; shorten one of them."))

    def most_tokens(self, base: Llama) -> int:
        """How long a sequence may become, prompt included, in the memory of its base model."""
        # Beside its pages, a sample needs the one in which its prompt ends, which it writes on in a copy.
        return (self._memory_of(base).pages.num_pages - 1) * PAGE_TOKENS

    def _memory_of(self, base: Llama) -> Memory:
        with self._lock:
            if base not in self._memory:
                pages = KeyValuePages(
                    base.config, base.dtype, base.device, self._num_pages, keys_by_width=is_native(base)
                )
                self._memory[base] = Memory(pages, PrefixCache(pages))
            return self._memory[base]

    def free_slots(self) -> int:
        """Samples that may begin."""
        return max(self.max_slots - sum(len(job.growing) for job in self._jobs), 0)

    def finish(self, job: Job) -> None:
        """Take a job out with its pages and deliver its result; where that raises, `job.fail` is told."""
        self._remove(job)
        try:
            job.finish(job.result())
        except Exception as error:  # noqa: BLE001
            # An outcome that cannot be told is one more failure of the request, not of the thread.
            job.fail(error)

    def fail(self, job: Job, error: Exception) -> None:
        """Take a job out with its pages and tell its client the error."""
        self._remove(job)
        job.fail(error)

    def _remove(self, job: Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
        memory = self._memory_of(job.weights.base)
        for feed in job.feeds():
            release(memory.pages, feed)
        job.growing.clear()

    def make_room(self, memory: Memory, job: Job, feed: Feed, plan: TokenStepPlan) -> bool:
        """Free a page for a feed, of what is remembered or of what came later; False if there is none."""
        if memory.cache.give_back_one():
            return True
        for other in sorted(self._jobs, key=lambda other: -other.number):
            if other.number < job.number or self._memory_of(other.weights.base) is not memory:
                continue
            for victim in reversed(other.feeds()):
                if victim is feed:
                    return False
                if victim.pages and victim not in plan and (other is not job or victim is not job.prompt):
                    release(memory.pages, victim)
                    if victim is other.prompt:
                        other.last_state, other.looked_up = None, False
                    if memory.pages.num_free or memory.cache.give_back_one():
                        return True
        return False
