"""The losses that clients sent: made of their graphs once, and found by the id that each was given."""

from __future__ import annotations

from tinker_local.engine.train.custom.loss import CustomLoss
from tinker_local.errors import NotFoundError, RequestError
from tinker_local.service.futures import Future, Futures
from tinker_local.service.sessions import Sessions, session_of
from tinker_local.wire import answers
from tinker_local.wire.custom_loss import CreateCustomLoss, decode_graph

MAX_LOSSES = 64
"""Of a session; a graph may take a megabyte."""


class CustomLosses:
    """The custom losses of all sessions. Each belongs to the session that created it, and ends with it."""

    def __init__(self, futures: Futures, sessions: Sessions) -> None:
        self._futures = futures
        self._sessions = sessions
        self._losses: dict[str, CustomLoss] = {}

    def create(self, request: CreateCustomLoss) -> Future:
        """A future of the loss's id; raises RequestError for a graph that is not in order or not allowed."""
        self._sessions.require(request.session_id)
        loss_id = f"{request.session_id}:loss:{request.custom_loss_seq_id}"
        request_id = f"{loss_id}/create"
        known = self._futures.find(request_id)
        if known is not None:
            return known
        if loss_id not in self._losses:
            if sum(session_of(one) == request.session_id for one in self._losses) >= MAX_LOSSES:
                raise RequestError(
                    f"The session has {MAX_LOSSES} custom losses already; create a new ServiceClient for "
                    "more."
                )
            self._losses[loss_id] = CustomLoss.of(decode_graph(request))
        future = self._futures.create(request_id)
        self._futures.complete_with(future, answers.CustomLossCreated(loss_id=loss_id))
        return future

    def find(self, session_id: str, loss_id: object) -> CustomLoss:
        """The loss of this id; raises NotFoundError where the session has none such."""
        loss = self._losses.get(loss_id) if isinstance(loss_id, str) else None
        if loss is None or not isinstance(loss_id, str) or session_of(loss_id) != session_id:
            raise NotFoundError(
                "The loss 'custom' needs the loss_id of one that its session created, in loss_fn_config; "
                "create it with create_custom_loss."
            )
        return loss

    def end_session(self, session_id: str) -> None:
        """Forget the losses of a finished session."""
        for loss_id in [one for one in self._losses if session_of(one) == session_id]:
            del self._losses[loss_id]
