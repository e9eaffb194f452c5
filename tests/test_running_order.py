"""What takes longest is handed out first, and by the name that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT
from running_order import LONGEST, TOGETHER, share_of


@pytest.mark.parametrize("name", sorted({*LONGEST, *TOGETHER}))
def test_what_the_order_names_is_there(name: str):
    """A file that was moved would come last, and one worker would wait for the other."""
    assert (ROOT / name).exists()


@pytest.mark.parametrize("folder", TOGETHER)
def test_files_with_one_server_go_to_one_worker(folder: str):
    """Each of a folder whose files share a trained run is part of one share."""
    files = [str(file.relative_to(ROOT)) for file in Path(ROOT / folder).glob("test_*.py")]
    assert len(files) > 1
    assert {share_of(file) for file in files} == {folder}
    assert share_of("tests/lab/test_train.py") == "tests/lab/test_train.py"
