"""Build the site from the pages of this repository: `python docs/site/build.py`, or `make docs`.

The pages keep the links that a reader of the repository needs, also to files outside docs/. A generator
knows only what lies in its own folder, so they are gathered in build/site first: pages of other folders get
a place in the site, other files that a page links to are shown as they are, and every link is set to where
its target now stands. The Python API has a page for each package that says with `__all__` what is public.

What is wrong ends the build: a link to what is not there, a heading that is not on its page, a warning of the
generator, and whatever the finished pages would load from another host.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from finished_pages import faults_of_site

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "site"
SETTINGS = ROOT / "mkdocs.yml"
API, SURPRISES = "reference/api.md", "reference/surprises.md"

CRISIS_ADAPTER = "src/symptoms/shipped/adapters/crisis-screen/sampler_weights/1"
PAGES_FROM_ELSEWHERE = {
    "data/README.md": "reference/data-card.md",
    "data/CHANGES.md": "reference/data-changes.md",
    "data/crisis/README.md": "reference/crisis-data-card.md",
    "src/base_models/bundled/symptoms-base/README.md": "reference/symptoms-base-card.md",
    f"{CRISIS_ADAPTER}/README.md": "reference/crisis-screen-card.md",
    "pretrain/README.md": "reference/pretraining.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files that belong to what lies beside them, and where the site has them."""

SHOWN = {".py": "python", ".toml": "toml", ".json": "json", ".sh": "bash", ".txt": "text", "": "text"}
"""Files that a page may link to and that are shown as they are, by the name's ending, and their language."""

LINK = re.compile(r"(?<!\\)(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"^ {0,3}(```|~~~)")


class BrokenLinkError(Exception):
    """A page links to what is not there; the message names page, line and target."""


def main() -> int:
    """Gather the pages, build them, look at what came of it. Returns the exit code."""
    shutil.rmtree(BUILD, ignore_errors=True)
    try:
        gather(BUILD / "pages")
    except BrokenLinkError as error:
        print(error, file=sys.stderr)
        return 1
    settings = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    settings |= {"docs_dir": "pages", "site_dir": "html", "nav": with_packages(settings["nav"])}
    (BUILD / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--strict",
        "--config-file",
        str(BUILD / "mkdocs.yml"),
    ]
    built = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"})
    if built.returncode:
        return built.returncode
    faults = faults_of_site(BUILD / "html")
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
    if not faults:
        print(f"the site: {(BUILD / 'html' / 'index.html').relative_to(ROOT)}")
    return 1 if faults else 0


def gather(folder: Path) -> None:
    """Write every page, picture and style of the site into the folder."""
    site = Gathering(folder)
    for path in sorted((ROOT / "docs").rglob("*")):
        place = path.relative_to(ROOT / "docs").as_posix()
        if path.suffix == ".md":
            site.add_page(path.relative_to(ROOT).as_posix(), place)
        elif path.suffix in {".png", ".svg", ".css"}:
            site.add_file(path, place)
    for source, place in PAGES_FROM_ELSEWHERE.items():
        site.add_page(source, place)
    site.add_text(SURPRISES, surprises())
    packages = public_packages()
    site.add_text(API, api_index(packages))
    for name, about in packages.items():
        site.add_text(f"reference/api/{name}.md", api_page(name, about))
    site.write()


class Gathering:
    """The pages of the site on their way from the repository to its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place_of: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def add_page(self, source: str, place: str) -> None:
        """A Markdown file of the repository; both are paths with slashes, from the root and in the site."""
        self._place_of[source] = place

    def add_text(self, place: str, text: str) -> None:
        """A page that is no file of the repository."""
        self._texts[place] = text

    def add_file(self, path: Path, place: str) -> None:
        """What is copied as it is."""
        self._place_of[path.relative_to(ROOT).as_posix()] = place
        target = self._folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)

    def write(self) -> None:
        """Set every link and write the pages."""
        pages = [(source, place) for source, place in self._place_of.items() if place.endswith(".md")]
        for source, place in pages:
            text = (ROOT / source).read_text(encoding="utf-8")
            self._texts[place] = with_links(
                text, source, lambda link, at=(source, place): self._link(link, *at)
            )
        for place, text in self._texts.items():
            target = self._folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    def _link(self, link: str, source: str, place: str) -> str:
        """The link of a page, from where the page will stand."""
        if link.startswith("#") or re.match(r"[a-z]+:", link):
            return link
        path, mark, anchor = link.partition("#")
        target = os.path.normpath(PurePosixPath(source).parent / path)
        if (ROOT / "docs" / "reference" in (ROOT / target).parents) and not (ROOT / target).exists():
            found = target.removeprefix("docs/")  # a page that is written here
        else:
            found = self._place_of.get(target) or self._shown(target)
        return os.path.relpath(found, PurePosixPath(place).parent) + mark + anchor

    def _shown(self, target: str) -> str:
        path = ROOT / target
        if not path.is_file() or path.suffix not in SHOWN or target.startswith(".."):
            raise BrokenLinkError(f"there is no page and no file to show: {target}")
        place = f"files/{target}.md"
        code = path.read_text(encoding="utf-8").replace("```", "``\u200b`")
        self._texts[place] = f"# {path.name}\n\n`{target}`\n\n```{SHOWN[path.suffix]}\n{code}```\n"
        return place


def with_links(text: str, source: str, change: Callable[[str], str]) -> str:
    """The page with each of its links changed, but for what stands in code.

    Raises BrokenLinkError with page and line.
    """
    lines = text.split("\n")
    fenced = False
    for number, line in enumerate(lines):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            try:
                lines[number] = LINK.sub(lambda found: found[1] + change(found[2]) + found[3], line)
            except BrokenLinkError as error:
                raise BrokenLinkError(f"{source}:{number + 1}: {error}") from None
    return "\n".join(lines)


def with_packages(entry: Any) -> Any:
    """A menu, or an entry of one, with a page for each package below that of the Python API."""
    if isinstance(entry, list):
        return [with_packages(one) for one in entry]
    if isinstance(entry, dict):
        return {title: with_packages(below) for title, below in entry.items()}
    packages = [{name: f"reference/api/{name}.md"} for name in public_packages()]
    return [API, *packages] if entry == API else entry


def public_packages() -> dict[str, str]:
    """The packages whose `__init__` says what is public, by name, each with its docstring's first line."""
    found: dict[str, str] = {}
    for file in sorted((ROOT / "src").rglob("__init__.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        name = ".".join(file.parent.relative_to(ROOT / "src").parts)
        if name == "symptoms" or any("__all__" in ast.dump(node) for node in tree.body):
            found[name] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found


API_HEAD = """\
# Python API

What the packages offer to programs, from their own docstrings. What a package does not name in `__all__` is
its own affair and may change.

The lab (`symptoms`) reaches models only through the Tinker SDK, so a program can do with the server
(`tinker-local`) whatever the lab does; [the protocol](../protocol.md) is the same.

| package | |
|---|---|
"""

SURPRISES_HEAD = """\
# What libraries really do

Where a library of this field surprised us, a script in `findings/` installs the version that is named into
an environment of its own, shows it, and says what was seen. They need a package index and are no part of the
tests.
"""


def api_index(packages: dict[str, str]) -> str:
    """The page that names every package."""
    return API_HEAD + "".join(
        f"| [`{name}`](api/{name}.md) | {about} |\n" for name, about in packages.items()
    )


def api_page(name: str, about: str) -> str:
    """The page of one package, which the generator fills from its docstrings."""
    if name == "symptoms":  # loaded on demand, so that nothing names them in __all__
        classes = "::: symptoms.classifier.Classifier\n\n::: symptoms.classifier.Assessment\n"
        return f"# `symptoms`\n\n{about}\n\n{classes}"
    options = "    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n"
    return f"# `{name}`\n\n::: {name}\n{options}"


def surprises() -> str:
    """The page of what libraries really do, from the heads of the scripts that show it."""
    parts = [SURPRISES_HEAD]
    for script in sorted((ROOT / "findings").glob("*.sh")):
        head: list[str] = []
        for line in script.read_text(encoding="utf-8").split("\n")[1:]:
            if not line.startswith("#"):
                break
            head.append(line.removeprefix("#").removeprefix(" "))
        title = script.stem.replace("_", " ").capitalize()
        # Figures stand indented under a line of text; apart from it they are a block of their own.
        text = re.sub(r"^(?! ).*\n(?=    )|^    .*\n(?! )", r"\g<0>\n", "\n".join(head), flags=re.MULTILINE)
        parts.append(f"## {title}\n\n    bash findings/{script.name}\n\n{text}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
