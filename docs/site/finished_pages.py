"""What is wrong with the finished pages of the site, whatever made them.

The generator checks the links of the Markdown that it is given. This reads the HTML: there the links of
menus, of the generated reference and of raw HTML are, too, and whatever a page would load from elsewhere.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""What a browser fetches without being asked, and the attribute that says from where."""


class Page(HTMLParser):
    """The ids, links and loaded addresses of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element is called, where it leads, and what it fetches."""
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        fetched = values.get(LOADED.get(tag, ""), "")
        if fetched and values.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(fetched)


def faults_of_site(folder: Path) -> list[str]:
    """A sentence for each link to nothing and for each address of another host that a page loads."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.html"))
        if path.name != "404.html"  # its links begin at the root of wherever the site will lie
    }
    faults: list[str] = []
    for path, page in pages.items():
        name = path.relative_to(folder)
        for address in page.loaded:
            if urlsplit(address).netloc:
                faults.append(f"{name} loads {address} from another host")
            elif not _target(path, address).is_file() and not address.startswith("data:"):
                faults.append(f"{name} loads {address}, which is not there")
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = _target(path, link)
            if target not in pages and not target.is_file():
                faults.append(f"{name} links to {link}, which is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                faults.append(f"{name} links to {link}, and there is no such heading")
    faults += [
        f"{style.relative_to(folder)} loads something from another place"
        for style in sorted(folder.rglob("*.css"))
        if re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text(encoding="utf-8"))
    ]
    return faults


def _target(page: Path, link: str) -> Path:
    path = unquote(urlsplit(link).path)
    target = Path(page.parent, path).resolve() if path else page.resolve()
    return target / "index.html" if target.is_dir() else target
