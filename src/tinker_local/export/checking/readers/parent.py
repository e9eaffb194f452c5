"""What the parent of a reader asks, and the end of the reader with it."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any


def asked_by_parent() -> dict[str, Any]:
    """The first line of standard input; from then on this process ends when its parent does.

    A parent that ends, however it does, closes its end of the pipe. Read from the descriptor itself: the
    buffered stream would hold a lock that interpreter exit needs.
    """
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(sys.stdin.fileno(), 1 << 20) or b"\n"
    asked: dict[str, Any] = json.loads(line)
    threading.Thread(target=_end_with_it, daemon=True).start()
    return asked


def _end_with_it() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(1)
