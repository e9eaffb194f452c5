"""Data that cannot be trained on is refused with its fault."""

from __future__ import annotations

import numpy as np
import pytest

from tinker_local.engine.losses import check_datums, find_loss
from tinker_local.errors import RequestError
from tinker_local.wire.datums import Datum


@pytest.mark.parametrize("widths", [(0,), (None, 2), (2, 3)])
def test_targets_of_unequal_width_are_refused(widths: tuple[int | None, ...]):
    """Every token of a request has the same number of targets, and at least one."""
    datums: list[Datum] = []
    for width in widths:
        shape = (3,) if width is None else (3, width)
        inputs = {
            "target_tokens": np.ones(shape, dtype=np.int64),
            "weights": np.ones(shape, dtype=np.float32),
        }
        datums.append(Datum(np.ones(3, dtype=np.int64), inputs))
    with pytest.raises(RequestError, match="same number of targets"):
        check_datums(datums, find_loss("cross_entropy"), 10, 10)
