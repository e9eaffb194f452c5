"""A small text grammar: read the lexicon, expand its patterns.

A lexicon file holds blocks. `== name` starts a theme (`== shared` and `== people` are for everybody), lines
such as `time: weeks months` are its settings, `-- facet` starts a list, and all other lines are alternatives:

    @work I sit [in the car|on the stairs] for {minutes} before {task}. // putting off work

`[a|b|]` is a choice on the spot, `{name}` an alternative of the list `name`, `{$name}` one that stays the
same for the whole text, `@work` or `@!work` a condition on the person, and `// ...` a short name for what the
line says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

LEXICON = Path(__file__).parent / "lexicon"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that an alternative of a list fills; a kept one has one filling for the whole text."""

    name: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives on the spot."""

    options: tuple[Template, ...]


Template = tuple[str | Slot | Choice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One alternative: its pattern, whom it suits, and in a few words what it says."""

    template: Template
    needs: tuple[str, ...]
    excludes: tuple[str, ...]
    label: Template | None
    source: str

    def suits(self, tags: frozenset[str]) -> bool:
        """Whether somebody with these tags can say it."""
        return all(tag in tags for tag in self.needs) and not any(tag in tags for tag in self.excludes)


Lists = dict[str, list[Line]]


@dataclass(frozen=True, slots=True)
class Theme:
    """What one text is about: its settings and its lists."""

    name: str
    settings: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    lists: Lists = field(default_factory=dict[str, list[Line]])


@dataclass(slots=True)
class Story:
    """One text in the making: its theme, its person, and what is settled so far."""

    theme: Theme
    shared: Lists
    random: Random
    tags: frozenset[str]
    kept: dict[str, str]
    used: set[int] = field(default_factory=set[int])
    labels: list[str] = field(default_factory=list[str])

    def offers(self, name: str) -> bool:
        """Whether the theme has a list of this name with a line that suits the person."""
        return any(line.suits(self.tags) for line in self.theme.lists.get(name, ()))

    def pick(self, name: str) -> Line:
        """A line of a list that suits the person, if possible one that this text has not used."""
        lines = self.theme.lists.get(name) or self.shared[name]
        for _ in range(6):
            line = lines[int(self.random.random() * len(lines))]
            if id(line) not in self.used and (not (line.needs or line.excludes) or line.suits(self.tags)):
                self.used.add(id(line))
                return line
        suiting = [line for line in lines if line.suits(self.tags)]
        if not suiting:
            raise LookupError(f"{self.theme.name}: no line of {name} suits {sorted(self.tags)}")
        fresh = [line for line in suiting if id(line) not in self.used] or suiting
        line = fresh[int(self.random.random() * len(fresh))]
        self.used.add(id(line))
        return line

    def expand(self, template: Template) -> str:
        """The pattern with every choice made and every slot filled."""
        pieces: list[str] = []
        for part in template:
            if isinstance(part, str):
                pieces.append(part)
            elif isinstance(part, Choice):
                options = part.options
                pieces.append(self.expand(options[int(self.random.random() * len(options))]))
            else:
                pieces.append(self.fill(part))
        return "".join(pieces)

    def fill(self, slot: Slot) -> str:
        """A slot's text; the one that was chosen before, where the slot is kept."""
        settled = self.kept.get(slot.name)
        if settled is not None:
            return settled
        text = self.expand(self.pick(slot.name).template)
        if slot.kept:
            self.kept[slot.name] = text
        return text

    def say(self, name: str) -> str:
        """One of the lines of that name, with its slots filled."""
        return self.expand(self.pick(name).template)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything that was written by hand."""

    themes: tuple[Theme, ...]
    shared: Lists
    people: dict[str, list[list[str]]]


def parse_template(source: str) -> Template:
    """A pattern as parts; raises ValueError where brackets do not match."""
    parts, rest = _parse(source, 0, False)
    if rest != len(source):
        raise ValueError(f"brackets do not match: {source}")
    return parts


def _parse(source: str, at: int, inside: bool) -> tuple[Template, int]:
    parts: list[str | Slot | Choice] = []
    text = ""
    while at < len(source):
        character = source[at]
        if character in "[{":
            if text:
                parts.append(text)
                text = ""
            if character == "{":
                end = source.index("}", at)
                name = source[at + 1 : end]
                parts.append(Slot(name.removeprefix("$"), name.startswith("$")))
                at = end + 1
                continue
            options: list[Template] = []
            while True:
                option, at = _parse(source, at + 1, True)
                options.append(option)
                if at >= len(source):
                    raise ValueError(f"a bracket stays open: {source}")
                if source[at] == "]":
                    break
            parts.append(Choice(tuple(options)))
        elif inside and character in "|]":
            break
        elif character in "]}":
            raise ValueError(f"brackets do not match: {source}")
        else:
            text += character
        at += 1
    if text:
        parts.append(text)
    return tuple(parts), at


def parse_line(source: str) -> Line:
    """A line of the lexicon: tags that it needs (`@`) or excludes (`@!`), a template, ` // ` and a label."""
    needs: list[str] = []
    excludes: list[str] = []
    text = source
    while text.startswith("@"):
        tag, _, text = text.partition(" ")
        (excludes if tag.startswith("@!") else needs).append(tag.lstrip("@!"))
    text, _, label = text.partition(" // ")
    return Line(
        parse_template(text.strip()),
        tuple(needs),
        tuple(excludes),
        parse_template(label.strip()) if label else None,
        source,
    )


def read_blocks(folder: Path) -> Iterator[tuple[str, dict[str, list[str]], dict[str, list[str]]]]:
    """(name, settings, lists) of every block of every file, in the order of names and lines."""
    for path in sorted(folder.glob("*.txt")):
        name, settings, lists = "", dict[str, list[str]](), dict[str, list[str]]()
        current: list[str] | None = None
        for raw in path.read_text(encoding="utf-8").splitlines():
            text = raw.strip()
            if not text or text.startswith("#"):
                continue
            if text.startswith("== "):
                if name:
                    yield name, settings, lists
                name, settings, lists, current = text[3:], {}, {}, None
            elif text.startswith("-- "):
                current = lists.setdefault(text[3:], [])
            elif current is None:
                key, _, value = text.partition(":")
                settings[key] = [item.strip() for item in value.split("/" if key == "name" else None)]
            else:
                current.append(text)
        if name:
            yield name, settings, lists


def read_lexicon(folder: Path = LEXICON) -> Lexicon:
    """The whole lexicon; blocks of one name, in whatever file, are one theme."""
    themes: dict[str, Theme] = {}
    shared: Lists = {}
    people: dict[str, list[list[str]]] = {}
    for name, settings, lists in read_blocks(folder):
        if name == "people":
            for key, rows in lists.items():
                people[key] = [[cell.strip() for cell in row.split("|")] for row in rows]
            continue
        theme = themes.setdefault(name, Theme(name)) if name != "shared" else None
        if theme:
            theme.settings.update(settings)
        for key, rows in lists.items():
            known = theme.lists if theme else shared
            known.setdefault(key, []).extend(parse_line(row) for row in rows)
    return Lexicon(tuple(themes.values()), shared, people)
