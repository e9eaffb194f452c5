"""The table of base models is readable, whole, and refuses what it does not know."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from base_models import BUNDLED_BASE, DEFAULT_BASE, KnownModel, known_models
from base_models.resolving import bundled_models
from base_models.table import TABLE_FILE, HubSource

DIGEST = "0123456789abcdef" * 4
PACKAGE = {
    "kind": "package",
    "package": "some-weights",
    "version": "1.0",
    "wheel_sha256": DIGEST,
    "wheel_bytes": 1,
    "file": "some_weights/a.gguf",
    "file_sha256": DIGEST,
    "file_bytes": 1,
}


def row(**source: object) -> dict[str, object]:
    return {"about": "a", "parameters": 1, "licence": "MIT", "sources": [source]}


def test_every_row_is_read():
    """Each table of models.toml becomes a row, and the two bases that have a part of their own are there."""
    assert list(known_models()) == list(tomllib.loads(TABLE_FILE.read_text()))
    assert {DEFAULT_BASE, BUNDLED_BASE} <= set(known_models())


def test_the_default_base_comes_from_the_package_index_first_and_from_the_hub_on_demand():
    """Its package's file is known by size and digest, and its unquantised weights by their repository."""
    known = known_models()[DEFAULT_BASE]
    assert known.package is not None
    assert known.sources[0] is known.package
    assert known.download_bytes == known.package.wheel_bytes
    assert HubSource(kind="hub", repository="HuggingFaceTB/SmolLM2-135M-Instruct") in known.sources


def test_a_bundled_row_is_part_of_the_package():
    """Its folder is there under the row's name, and nothing is downloaded."""
    bundled = {name: known for name, known in known_models().items() if known.is_bundled}
    assert set(bundled) == set(bundled_models()) == {BUNDLED_BASE}
    assert bundled[BUNDLED_BASE].download_bytes == 0


def test_a_row_is_taken_as_it_stands():
    """The row that the next test spoils is a good one."""
    assert KnownModel.model_validate(row(**PACKAGE)).package is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("wheel_sha256", DIGEST[:-1]),
        ("wheel_sha256", DIGEST.upper()),
        ("file_sha256", "sha256:" + DIGEST),
        ("wheel_bytes", 0),
        ("file_bytes", "1"),
        ("file", "../outside.gguf"),
        ("file", "/outside.gguf"),
        ("file", "some_weights/../../outside.gguf"),
        ("file", "some_weights/code.py"),
        ("package", "some-weights --index-url=http://elsewhere"),
        ("package", "--index-url=http://elsewhere"),
        ("version", "1.0 other==2.0"),
        ("version", ">=1.0"),
        ("kind", "pacakge"),
        ("sha256", DIGEST),
    ],
)
def test_a_wrong_row_is_refused(key: str, value: object):
    """Digests of another form, files outside of the wheel, other words in pip's requirement, unknown keys."""
    with pytest.raises(ValidationError):
        KnownModel.model_validate(row(**{**PACKAGE, key: value}))
