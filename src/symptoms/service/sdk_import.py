"""Importing the Tinker SDK, which takes most of the time in which a command starts."""

from __future__ import annotations

import gc
import importlib


def import_sdk() -> None:
    """Import `tinker` while the garbage collector rests.

    It would look again and again at what the imports make, which lives as long as the process does: a fifth
    of the time that they take.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module("tinker")
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
