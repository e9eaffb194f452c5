"""A server of our own that stands for hosted Tinker, with what can go wrong on the way between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from faulty_service import Between
from http_in_process import serving


@pytest.fixture(scope="session")
def spoilt(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Between]:
    """A server on the tiny model, in float32, and what stands before it."""
    between = Between()

    def wrap(app: ASGIApp) -> ASGIApp:
        between.app = app
        return between

    with serving(tiny_model, tmp_path_factory.mktemp("home"), wrap) as running:
        between.url, between.model = running.url, running.model
        yield between


@pytest.fixture
def between(spoilt: Between) -> Iterator[Between]:
    """The same, with nothing spoilt yet."""
    spoilt.forget()
    yield spoilt
    spoilt.forget()
