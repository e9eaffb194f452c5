"""One token step of one set of weights: what goes through the model, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from tinker_local.engine.infer.jobs import Feed, GrowingSample, Job, release
from tinker_local.engine.infer.prompt_scoring import continuation_logprobs, scored_at_once
from tinker_local.engine.infer.sampler import ScoredRows
from tinker_local.engine.infer.samples import Sample, are_numbers, extend
from tinker_local.engine.infer.speculation import FEWEST, MOST_SPECULATED
from tinker_local.engine.infer.token_step_plan import TokenStepPlan
from tinker_local.engine.kernels.vocabulary import log_sums
from tinker_local.engine.kv_cache.pages import PAGE_TOKENS
from tinker_local.engine.kv_cache.prefix_cache import Memory
from tinker_local.engine.threads import use_threads_for
from tinker_local.errors import RequestError

STEP_OPERATIONS = 6e10
"""Floating-point operations that a step's prompts may take: about a third of a second on two cores."""
STEP_TOKENS = (64, 1024)
"""That limit in tokens, however large the model is: never below the first, never above the second."""
SPECULATION_ROWS = 8
"""Rows up to which speculation fills a step: so many take little longer than one."""


class Owner(Protocol):
    """What a step needs of the scheduler."""

    max_slots: int

    def free_slots(self) -> int:
        """How many samples may begin beside those that grow; 0 where there are enough."""
        ...

    def make_room(self, memory: Memory, job: Job, feed: Feed, plan: TokenStepPlan) -> bool:
        """Free a page for a feed, never one that `plan` uses; False where there is none to free."""
        ...

    def finish(self, job: Job) -> None:
        """Deliver the result of a job of which all samples have ended, and free its pages."""
        ...

    def fail(self, job: Job, error: Exception) -> None:
        """Drop a job with its pages, and tell its client the error."""
        ...


class TokenStep:
    """One pass through one set of weights, and what follows from it."""

    def __init__(self, scheduler: Owner, jobs: Sequence[Job], memory: Memory) -> None:
        self._scheduler = scheduler
        self._jobs = jobs
        self._memory = memory
        self._weights = jobs[0].weights
        self._network = self._weights.network()
        self._failed: set[Job] = set()
        self._speculated: dict[GrowingSample, list[int]] = {}

    @torch.no_grad()
    def run(self) -> None:
        """Prefill pieces of prompts, sample next tokens, deliver what is done; raises what the model does."""
        plan = self._plan()
        states: Tensor | None = None
        if plan.tokens:
            use_threads_for(self._network.num_parameters, len(plan.tokens))
            states = self._network.hidden(plan.rows())
            self._prefill(plan, states)
        self._sample(plan, states)
        for job in self._jobs:
            if job.is_done:
                self._scheduler.finish(job)

    def _plan(self) -> TokenStepPlan:
        least, most = STEP_TOKENS
        budget = min(max(int(STEP_OPERATIONS / (2 * self._network.num_parameters)), least), most)
        current: list[Job] = []

        def take_page(feed: Feed) -> int | None:
            pages = self._memory.pages
            if not pages.num_free and not self._scheduler.make_room(self._memory, current[0], feed, plan):
                return None
            return pages.take(feed.pages[-1] if feed.pages else None)

        plan = TokenStepPlan(self._memory.pages, take_page, budget)
        growing = sum(len(job.growing) for job in self._jobs)
        prefilling = sum(job.last_state is None for job in self._jobs)
        spare = 0 if prefilling or not growing else max(SPECULATION_ROWS // growing - 1, 0)
        for job in self._jobs:
            current[:] = [job]
            if job.last_state is None:
                self._find_prefix(job)
                prefilling -= 1
                plan.add(job.prompt, others=prefilling)
            for grown in job.growing:
                if grown.feed.computed < len(grown.feed.tokens) - 1:
                    plan.add(grown.feed)
                    continue
                left = job.request.max_tokens - len(grown.sample.tokens) - 1
                proposed = self._weights.lookup.propose(
                    grown.feed.tokens,
                    min(spare, grown.num_speculated, left),
                    surely=grown.num_speculated == FEWEST,
                )
                self._speculated[grown] = proposed[: max(plan.add_fixed(grown.feed, proposed) - 1, 0)]
        return plan

    def _find_prefix(self, job: Job) -> None:
        """Begin a prompt with what is remembered of it, as far as its states are not asked for."""
        if job.looked_up or job.prompt.pages:
            return
        job.looked_up = True
        prompt = job.prompt
        prompt.pages = self._memory.cache.find(self._weights.number, prompt.tokens, job.scoring.first)
        prompt.computed = len(prompt.pages) * PAGE_TOKENS

    def _prefill(self, plan: TokenStepPlan, states: Tensor) -> None:
        """Note how far prompts are prefilled, and score what is asked about them."""
        self._fail_unsound(plan, states)
        asked: list[tuple[Job, int]] = []
        rows: list[int] = []
        for job in self._jobs:
            start, mine = plan.rows_of(job.prompt)
            for position in job.scoring.targets(start, start + len(mine)):
                asked.append((job, position))
                rows.append(mine[position - start])
        if rows:
            before = torch.tensor(rows, device=states.device)
            targets = [job.prompt.tokens[position + 1] for job, position in asked]
            wanted = torch.tensor(targets, device=states.device)
            found = continuation_logprobs(self._network, states, before, wanted)
            scores = cast(list[float], found.tolist())
            for (job, position), score in zip(asked, scores, strict=True):
                job.scoring.set_logprob(position, score)
        self._score_widely(plan, states)
        for job in self._jobs:
            start, mine = plan.rows_of(job.prompt)
            if not mine or job.last_state is not None:
                continue
            job.prompt.computed = start + len(mine)
            job.scoring.reached(job.prompt.computed)
            if job.prompt.computed == len(job.prompt.tokens):
                job.last_state = states[mine[-1]].clone()
                self._memory.cache.remember(self._weights.number, job.prompt.tokens, job.prompt.pages)
                if job.request.max_tokens > 1:
                    self._weights.lookup.remember(job.request.prompt)

    def _score_widely(self, plan: TokenStepPlan, states: Tensor) -> None:
        """Score over the vocabulary what prompts ask of it, rows of all of them at a time."""
        asked: list[tuple[Job, int]] = []
        rows: list[int] = []
        for job in self._jobs:
            start, mine = plan.rows_of(job.prompt)
            for position in map(int, job.scoring.widely(start, start + len(mine))):
                asked.append((job, position))
                rows.append(mine[position - start])
        at_once = scored_at_once(self._network.config.vocab_size)
        for begin in range(0, len(rows), at_once):
            scores = self._network.logits(states[rows[begin : begin + at_once]])
            sums = log_sums(scores)
            first = 0
            for job, group in groupby(asked[begin : begin + at_once], key=itemgetter(0)):
                positions = np.array([position for _, position in group])
                mine = slice(first, first + len(positions))
                job.scoring.note(positions, scores[mine], sums[mine])
                first += len(positions)

    def _fail_unsound(self, plan: TokenStepPlan, states: Tensor) -> None:
        """Let go of what was computed with numbers that are none, before it is remembered."""
        # One that is none makes all of its row none.
        sound = are_numbers(states[:, 0])
        if not all(sound):
            for job in self._jobs:
                rows = [row for feed in job.feeds() for row in plan.rows_of(feed)[1]]
                if not all(sound[row] for row in rows):
                    self._fail(job)
            self._jobs = [job for job in self._jobs if job not in self._failed]

    def _fail(self, job: Job) -> None:
        fault = "The weights score tokens with no number, as diverged training leaves them."
        self._failed.add(job)
        self._scheduler.fail(job, RequestError(fault))

    def _sample(self, plan: TokenStepPlan, states: Tensor | None) -> None:
        """Sample the next token of all that grow, and the first of those that begin."""
        rows: list[int] = []
        runs: list[tuple[Job, GrowingSample, int]] = []
        for job in self._jobs:
            for grown in job.growing:
                start, mine = plan.rows_of(grown.feed)
                last = len(grown.feed.tokens) - 1 - start
                if len(mine) > last:
                    runs.append((job, grown, len(rows)))
                    rows += mine[last:]
                elif mine:
                    grown.feed.computed = start + len(mine)
        beginning: list[tuple[Job, GrowingSample, int]] = []
        free = self._scheduler.free_slots()
        fleeting = self._scheduler.max_slots
        parts = [states[rows]] if states is not None and rows else []
        row = len(rows)
        for job in self._jobs:
            # A single token is sampled at once, and takes no sequence's slot.
            if job.request.max_tokens == 1:
                count = min(job.num_waiting, fleeting)
                fleeting -= count
            else:
                # One request leaves a part of the slots to others.
                mine = self._scheduler.max_slots * 3 // 4 - len(job.growing)
                count = max(min(job.num_waiting, free, mine), 0)
                free -= count
            if job.last_state is None or not count:
                continue
            parts.append(job.last_state[None])
            for number in range(job.num_started, job.num_started + count):
                sample = Sample.numbered(job.request, number)
                beginning.append((job, GrowingSample(number, sample, Feed(list(job.request.prompt))), row))
            row += 1
            job.num_started += count
        if not parts:
            return
        everything = [*runs, *beginning]
        scored = self._scored(torch.cat(parts), everything)
        sound = are_numbers(scored.log_sums)
        for job in {job: None for job, _, row in everything if not sound[row]}:
            self._fail(job)
        everything = [one for one in everything if one[0] not in self._failed]
        self._extend(everything, scored)
        begun = {grown for _, grown, _ in beginning}
        for job, grown, _ in everything:
            self._settle(job, grown, grown in begun)
        for job in self._jobs:
            if job.last_state is not None and job.num_started == job.request.num_samples:
                release(self._memory.pages, job.prompt)

    def _scored(self, states: Tensor, runs: Sequence[tuple[Job, GrowingSample, int]]) -> ScoredRows:
        """Scores after states [rows, hidden], of which those of a run follow its first one."""
        temperatures = list[float]()
        starts = {row: job.request.temperature for job, _, row in runs}
        for row in range(len(states)):
            temperatures.append(starts[row] if row in starts else temperatures[-1])
        return ScoredRows.of(self._network.logits(states), temperatures)

    def _extend(self, runs: Sequence[tuple[Job, GrowingSample, int]], scored: ScoredRows) -> None:
        """Sample from each run of rows as long as the tokens are those that were speculated on."""
        going = list(runs)
        for depth in range(MOST_SPECULATED + 1):
            if not going:
                return
            rows = [row + depth for _, _, row in going]
            extend([grown.sample for _, grown, _ in going], scored, rows, self._weights.tokenizer)
            still: list[tuple[Job, GrowingSample, int]] = []
            for job, grown, row in going:
                token = grown.sample.tokens[-1]
                grown.feed.tokens.append(token)
                proposed = self._speculated.get(grown, [])
                if not grown.sample.finished and depth < len(proposed) and token == proposed[depth]:
                    still.append((job, grown, row))
                elif proposed:
                    grown.num_speculated = min(2 * depth + FEWEST, MOST_SPECULATED)
            going = still

    def _settle(self, job: Job, grown: GrowingSample, begins: bool) -> None:
        """Let a sample that was extended leave or go on."""
        pages, feed = self._memory.pages, grown.feed
        job.tell(grown)
        # The newest token has not gone through the model.
        computed = len(feed.tokens) - 1
        if begins and not grown.sample.finished:
            self._begin(job, grown)
            job.growing.append(grown)
        elif not begins:
            feed.computed = computed
        if grown.sample.finished:
            job.keep(grown.number, grown.sample)
            if len(grown.sample.tokens) > 1:
                self._weights.lookup.remember(grown.sample.tokens)
            if not begins:
                job.growing.remove(grown)
                if job.request.num_samples == 1:
                    self._memory.cache.remember(self._weights.number, feed.tokens[:computed], feed.pages)
                release(pages, feed)

    def _begin(self, job: Job, grown: GrowingSample) -> None:
        """Give a sample its prompt: the full pages shared, the one that it goes on writing as a copy.

        Where memory is short, the sample begins with nothing and is computed when there is room.
        """
        pages, length = self._memory.pages, len(job.request.prompt)
        full, rest = divmod(length, PAGE_TOKENS)
        feed = grown.feed
        if len(job.prompt.pages) * PAGE_TOKENS < length:
            return
        shared = job.prompt.pages[:full]
        if rest:
            last = None
            if job.num_started == job.request.num_samples and grown.number == job.num_started - 1:
                # The last sample needs no copy.
                last = job.prompt.pages[full]
                job.prompt.pages = shared
            elif pages.num_free or self._memory.cache.give_back_one():
                last = pages.take()
                assert last is not None
                pages.copy(job.prompt.pages[full], last)
            if last is None:
                return
            feed.pages = [*map(pages.share, shared), last]
        else:
            feed.pages = [*map(pages.share, shared)]
        feed.computed = length
