"""What leaves this machine when a service elsewhere trains, line by line."""

from collections.abc import Iterator
from dataclasses import dataclass

from symptoms.packaged import packaged


@dataclass(frozen=True)
class Leaving:
    """One kind of thing that is sent: in words, and by which fields of requests and which headers."""

    what: str
    fields: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


LEAVES = tuple(
    Leaving(one["what"], tuple(one.get("fields", "").split()), tuple(one.get("headers", "").split()))
    for one in packaged(__package__, "leaving.toml")["leaves"]
)
NOT = "not sent: file, folder and run names, ids and other columns of your data, your name or this machine's"


def leaving_in_words(url: str) -> Iterator[str]:
    """The list as `symptoms train --dry-run` shows it."""
    yield f"what would leave this machine for {url}:"
    for line in LEAVES:
        yield f"  - {line.what}"
    yield f"  {NOT}"
