"""What can go wrong, as one type. Every message is one sentence that says what to do next."""

from __future__ import annotations


class BaseModelError(Exception):
    """A base model cannot be found, got or trusted."""
