"""That a peer does the work that it is compared for."""

from __future__ import annotations

import pytest

from benchmarks.rows import check_all_are_trained, random_rows


def test_a_peer_that_cuts_or_drops_rows_is_not_measured() -> None:
    """TRL 1.16.0 was seen to do both in silence, by default and where nothing of a row is trained."""
    rows = random_rows(100, count=3, length=8)
    check_all_are_trained([row[:-1] for row in rows], 3, 8)
    for kept in (rows[:2], [row[:5] for row in rows], []):
        with pytest.raises(ValueError, match=r"not 3 of 9"):
            check_all_are_trained(kept, 3, 9)
