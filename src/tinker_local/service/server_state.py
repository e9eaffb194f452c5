"""Everything a running server holds, put together once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from tinker_local.engine.worker import Worker
from tinker_local.errors import RequestError
from tinker_local.loading import BaseModel
from tinker_local.service.catalogue import Catalogue
from tinker_local.service.checkpoints import CheckpointStore
from tinker_local.service.custom_losses import CustomLosses
from tinker_local.service.futures import Future, Futures
from tinker_local.service.samplers import Samplers
from tinker_local.service.sessions import Sessions
from tinker_local.service.training_runs import Runs
from tinker_local.wire import answers, requests

TIDY_SECONDS = 15.0


class ServerState:
    """The models, the store, and what clients have created. Lives on one event loop."""

    def __init__(
        self,
        models: Mapping[str, BaseModel],
        home: Path,
        worker: Worker,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.monotonic,
        adapters: Sequence[Path] = (),
        exports: Path | None = None,
    ) -> None:
        """`adapters` are folders of checkpoints that were shipped, to be sampled from and trained on.

        `exports` is where save_weights_external leaves a copy for other programs; None leaves none.
        """
        self._loop = loop
        self.models = models
        self.sessions = Sessions(clock)
        self.futures = Futures(loop)
        self.store = CheckpointStore(home, adapters, exports)
        self.store.recover()
        self.samplers = Samplers(models, self.store, worker, self.futures, self.sessions)
        self.custom_losses = CustomLosses(self.futures, self.sessions)
        known = (self.futures, self.samplers, self.sessions, self.custom_losses)
        self.runs = Runs(models, self.store, worker, *known, loop)
        self.catalogue = Catalogue(self.store, self.runs)
        loop.call_later(TIDY_SECONDS, self._tidy_regularly)

    def session(self, session_id: str) -> answers.Session:
        """What a session has made; raises NotFoundError once it is over."""
        created = self.sessions.created_by(session_id)
        return answers.Session(
            training_run_ids=[run.run_id for run in self.runs.all() if run.session_id == session_id],
            sampler_ids=self.samplers.of_session(session_id),
            user_metadata={key: str(value) for key, value in (created.user_metadata or {}).items()},
            display_name=created.display_name,
        )

    def end_session(self, session_id: str) -> None:
        """Release what the session created in memory. Unknown sessions are as good as ended."""
        self.sessions.end(session_id)
        self.runs.end_session(session_id)
        self.samplers.end_session(session_id)
        self.custom_losses.end_session(session_id)
        self.futures.end_session(session_id)

    def tidy(self) -> None:
        """End the sessions whose clients died, and forget results that nobody will ask for."""
        for session_id in self.sessions.silent():
            self.end_session(session_id)
        self.futures.forget_expired()

    def _tidy_regularly(self) -> None:
        self.tidy()
        self._loop.call_later(TIDY_SECONDS, self._tidy_regularly)

    def capabilities(self) -> answers.ServerCapabilities:
        """What get_server_capabilities tells of each loaded model; context lengths are in tokens."""
        return answers.ServerCapabilities(
            supported_models=[
                answers.SupportedModel(
                    model_name=name,
                    max_context_length=base.model.config.max_position_embeddings,
                    model_type=base.model_type,
                    hidden_size=base.model.config.hidden_size,
                    training_dtype=str(base.training_dtype).removeprefix("torch."),
                )
                for name, base in self.models.items()
            ]
        )

    def failed(self, error: RequestError) -> Future:
        """A future that is failed from the start: how the SDK expects to hear of a user's mistake."""
        future = self.futures.create(f"refused-{uuid4().hex}")
        self.futures.fail(future, error)
        return future

    def refused(self, body: bytes, error: RequestError) -> Future:
        """The failed future of a training request, in its turn where its number can be read."""
        try:
            return self.runs.refuse(requests.parse_json(requests.Numbered, body), error)
        except RequestError:
            return self.failed(error)

    def refused_sample(self, body: bytes, error: RequestError) -> Future:
        """The failed future of a sampling request, under its own name where that can be read."""
        try:
            return self.samplers.refuse(requests.parse_json(requests.NumberedSample, body), error)
        except RequestError:
            return self.failed(error)
