"""The page of conformance is what its tables say, and shows no machine's places."""

from __future__ import annotations

import re

from benchmarks.conformance_page import PAGE, TABLES, page, tables


def test_the_page_is_that_of_its_tables() -> None:
    """`python -m benchmarks.conformance_page` would write the page that is there."""
    around = (TABLES / "page.md").read_text(encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(tables(), around)


def test_three_other_servers_have_twenty_rows() -> None:
    """Each server on the page was measured in at least 20 rows, and none is measured in name alone."""
    measured = tables()
    assert len(measured) >= 4
    for table in measured:
        answered = [row for row in table["rows"] if row["verdict"] != "not measured"]
        assert len(answered) >= 20, table["server"]


def test_every_dash_has_its_reason() -> None:
    """What was not measured stands below with what came instead, as often as the table has a dash for it."""
    above, below = PAGE.read_text(encoding="utf-8").split("## What differs")
    assert above.count("| - ") == below.count("| - (not measured) |") > 0


def test_a_deviation_is_told_with_what_follows() -> None:
    """Every row that differs or was refused says what it does to a run; no row names a folder or a port."""
    for table in tables():
        for row in table["rows"]:
            assert bool(row["consequence"]) == (row["verdict"] in ("differs", "refused")), row
            assert not re.search(r"/tmp/|/root|/work/|127\.0\.0\.1:\d", row["came"]), row
