"""What is wrong with a finished site is found, whatever built it."""

from __future__ import annotations

from pathlib import Path

import pytest

from finished_pages import faults_of_site

HEAD = '<!doctype html><link rel="stylesheet" href="style.css"><h1 id="top">One</h1>'


def site(folder: Path, body: str) -> list[str]:
    (folder / "index.html").write_text(HEAD + body, encoding="utf-8")
    (folder / "two.html").write_text(HEAD, encoding="utf-8")
    (folder / "style.css").touch()
    return faults_of_site(folder)


def test_a_whole_site_has_no_fault(tmp_path: Path):
    """Links to pages, headings and other hosts are allowed; what is loaded lies here."""
    links = ("two.html#top", "#top", "https://example.org/x", ".")
    assert site(tmp_path, "".join(f'<a href="{link}">x</a>' for link in links)) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="three.html">x</a>', "index.html links to three.html, which is not there"),
        ('<a href="two.html#end">x</a>', "index.html links to two.html#end, and there is no such heading"),
        ('<a href="#end">x</a>', "index.html links to #end, and there is no such heading"),
        ('<img src="gone.svg">', "index.html loads gone.svg, which is not there"),
        (
            '<script src="https://cdn.example/x.js"></script>',
            "index.html loads https://cdn.example/x.js from another host",
        ),
        (
            '<link rel="stylesheet" href="//fonts.example/a">',
            "index.html loads //fonts.example/a from another host",
        ),
    ],
)
def test_each_fault_is_told(tmp_path: Path, body: str, fault: str):
    """A link to nothing, and anything that another host would be asked for."""
    assert site(tmp_path, body) == [fault]


def test_a_style_from_elsewhere_is_told(tmp_path: Path):
    """A style that fetches a font would tell another host who reads."""
    site(tmp_path, "")
    (tmp_path / "style.css").write_text(
        "@font-face {src: url(https://fonts.example/a.woff2)}", encoding="utf-8"
    )
    assert faults_of_site(tmp_path) == ["style.css loads something from another place"]
