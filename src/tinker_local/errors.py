"""What can go wrong, as types. Every message is one sentence that says what to do next."""

from __future__ import annotations


class TinkerLocalError(Exception):
    """Base of every error this server raises on purpose."""


class RequestError(TinkerLocalError):
    """The request cannot be carried out as sent; reported to the client as a failed future."""


class NotFoundError(RequestError):
    """The request names something that does not exist here."""


class CheckpointError(RequestError):
    """A checkpoint could not be written, found or trusted."""


class BusyError(TinkerLocalError):
    """More work is queued than fits in memory; the client should wait and send the request again."""


class StartupError(TinkerLocalError):
    """The server cannot start."""


class AdapterError(TinkerLocalError):
    """An adapter that was made elsewhere cannot be taken over exactly."""


class ExportError(TinkerLocalError):
    """A checkpoint cannot leave in the form that was asked for, or did not pass its check."""
