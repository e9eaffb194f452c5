"""In which order pytest-xdist hands out the tests, and which of them go to one worker."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

LONGEST = (
    "tests/lab/test_conformance.py",
    "tests/lab/test_conformance_computing.py",
    "tests/lab/test_experiment.py",
    "tests/docs/test_tutorial.py",
    "tests/lab/test_resume.py",
    "tests/hosted/test_faults.py",
    "tests/web",
    "tests/evaluate/test_evaluate_command.py",
    "tests/engine/infer/test_same_text.py",
    "tests/server/test_memory.py",
    "tests/lab/test_sweep.py",
    "tests/lab/test_first_meeting.py",
    "tests/server/test_crash.py",
    "tests/server/test_generation.py",
    "tests/server/test_neighbours.py",
    "tests/server/test_side_by_side.py",
    "tests/export/test_export_check.py",
    "tests/classifier",
    "tests/lab/test_train.py",
    "tests/lab/test_changed_files.py",
    "tests/lab/test_service.py",
    "tests/engine/train/test_training_pass.py",
    "tests/base_models/test_getting.py",
)
"""What takes longest comes first, so that no worker is left with it when the others are done."""

TOGETHER = ("tests/web", "tests/classifier")
"""Folders whose files share a trained run and a server, which each worker that has one of them makes anew."""


def share_of(path: str) -> str:
    """The folder or file whose tests go to one worker: fixtures are made once for each."""
    return next((folder for folder in TOGETHER if path.startswith(f"{folder}/")), path)


class LongestFirst(LoadFileScheduling):
    """A share after the other, as they were collected, to the worker that is free."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return share_of(super()._split_scope(nodeid))


def place(item: pytest.Item) -> int:
    """Where in the order an item's share stands."""
    share = share_of(item.nodeid.split("::", 1)[0])
    return LONGEST.index(share) if share in LONGEST else len(LONGEST)
