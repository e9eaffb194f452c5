"""Everything a running server holds, put together once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from tinker_local.engine.loading import BaseModel
from tinker_local.engine.worker import Worker
from tinker_local.errors import NotFoundError, RequestError
from tinker_local.service.catalogue import Catalogue
from tinker_local.service.checkpoints import CheckpointStore
from tinker_local.service.futures import Future, Futures
from tinker_local.service.sampling import Samplers
from tinker_local.service.training import Runs
from tinker_local.wire import answers, requests


class ServerState:
    """The models, the store, and what clients have created. Lives on one event loop."""

    def __init__(
        self, models: Mapping[str, BaseModel], home: Path, worker: Worker, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.models = models
        self.futures = Futures(loop)
        self.store = CheckpointStore(home)
        self.samplers = Samplers(models, self.store, worker, self.futures)
        self.runs = Runs(models, self.store, worker, self.futures, self.samplers)
        self.catalogue = Catalogue(self.store, self.runs)
        self._sessions: dict[str, requests.CreateSession] = {}

    def create_session(self, request: requests.CreateSession) -> answers.SessionCreated:
        session_id = uuid4().hex
        self._sessions[session_id] = request
        return answers.SessionCreated(session_id=session_id)

    def is_alive(self, session_id: str) -> bool:
        return session_id in self._sessions

    def sessions(self) -> list[str]:
        """The sessions that are not over, newest first."""
        return list(reversed(self._sessions))

    def session(self, session_id: str) -> answers.Session:
        """What a session has made; raises NotFoundError once it is over."""
        created = self._sessions.get(session_id)
        if created is None:
            raise NotFoundError(f"There is no session {session_id!r}, or it is over.")
        return answers.Session(
            training_run_ids=[run.run_id for run in self.runs.all() if run.session_id == session_id],
            sampler_ids=self.samplers.of_session(session_id),
            user_metadata={key: str(value) for key, value in (created.user_metadata or {}).items()},
            display_name=created.display_name,
        )

    def end_session(self, session_id: str) -> None:
        """Release what the session created in memory. Unknown sessions are as good as ended."""
        self._sessions.pop(session_id, None)
        self.runs.end_session(session_id)
        self.samplers.end_session(session_id)

    def capabilities(self) -> answers.ServerCapabilities:
        return answers.ServerCapabilities(
            supported_models=[
                answers.SupportedModel(
                    model_name=name, max_context_length=base.model.config.max_position_embeddings
                )
                for name, base in self.models.items()
            ]
        )

    def failed(self, error: RequestError) -> Future:
        """A future that is failed from the start: how the SDK expects to hear of a user's mistake."""
        future = self.futures.create(f"refused-{uuid4().hex}")
        self.futures.fail(future, error)
        return future
