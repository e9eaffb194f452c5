"""How much one client may ask."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

MANY_CLIENTS = 10_000


@dataclass
class _Bucket:
    left: float
    at: float


class RateLimit:
    """A bucket for each client: full at first, refilled evenly, as much in a minute as it holds."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def seconds_to_wait(self, client: str, cost: int = 1) -> float:
        """0 where the client may go on, and then it is charged; else in how many seconds it may.

        What costs more than a full bucket needs a full one.
        """
        needed = min(float(cost), self._capacity)
        with self._lock:
            now = self._clock()
            bucket = self._refilled(client, now)
            if bucket.left >= needed:
                bucket.left -= needed
                return 0.0
            return (needed - bucket.left) / self._capacity * 60.0

    def _refilled(self, client: str, now: float) -> _Bucket:
        if client not in self._buckets and len(self._buckets) >= MANY_CLIENTS:
            # Whoever has not been seen for a minute has a full bucket anyway.
            self._buckets = {name: one for name, one in self._buckets.items() if now - one.at < 60.0}
        bucket = self._buckets.setdefault(client, _Bucket(self._capacity, now))
        bucket.left = min(self._capacity, bucket.left + (now - bucket.at) / 60.0 * self._capacity)
        bucket.at = now
        return bucket
