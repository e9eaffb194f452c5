"""The site: its pages build without a broken link, load nothing from elsewhere, and name real commands."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from build import API, PAGES_FROM_ELSEWHERE, SURPRISES
from conftest import ROOT
from help_pages import every_command

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HAS_THE_SITES_TOOLS = all(importlib.util.find_spec(name) for name in ("zensical", "mkdocstrings"))
MADE_BY_THE_SITE = {ROOT / "docs" / place for place in (API, SURPRISES, *PAGES_FROM_ELSEWHERE.values())}
"""Pages that docs/site/build.py makes, or brings from another folder."""
COMMAND = re.compile(r"^(?:    )?(?:\.venv/bin/)?(symptoms [a-z].*)$", re.MULTILINE)


@pytest.mark.skipif(not HAS_THE_SITES_TOOLS, reason="the extra 'docs' is not installed")
def test_the_site_builds_without_a_fault():
    """No link to nothing, no heading that is not there, no font or script of another host."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs/site/build.py"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (ROOT / "build/site/html/tutorial.html").exists()


def test_every_page_has_its_place_in_the_menu():
    """What is written under docs/ can be found from the site's navigation."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/-]+\.md", settings[settings.index("\nnav:") :]))
    assert [page for page in PAGES[1:] if page.relative_to(ROOT / "docs").as_posix() not in named] == []
    assert yaml.safe_load(settings)["theme"]["font"] is False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_a_page_exist(page: Path):
    """Every `symptoms ...` that a page shows is a command, with options that it has."""
    known = dict(every_command())
    text = re.sub(
        r"\\\n\s*", "", page.read_text(encoding="utf-8").split("<!-- what follows is written by")[0]
    )
    for line in COMMAND.findall(text):
        words = shlex.split(line, comments=True)
        if words[1].startswith("-"):
            continue
        name = next(
            " ".join(words[:count]) for count in (3, 2) if " ".join(words[:count]) in known or count == 2
        )
        assert name in known, f"{page.name}: {line}"
        options = {option for one in known[name].params for option in (*one.opts, *one.secondary_opts)}
        for word in words:
            assert not word.startswith("--") or word.split("=")[0] in options | {"--help"}, (
                f"{page.name}: {line}"
            )


def test_links_between_pages_of_the_repository_lead_somewhere():
    """What a reader of the files follows is there, also where the site's tools are not installed."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
            target = (page.parent / link).resolve()
            assert link.startswith("http") or target.exists() or target in MADE_BY_THE_SITE, (
                f"{page.name}: {link}"
            )


def test_the_explanations_tell_the_figures_of_their_run():
    """Each number that the pages say of the run behind the pictures is one that its script wrote."""
    folder = ROOT / "docs" / "explanation"
    figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    for page, key, form in (
        ("training-loss.md", "curve.training_loss_first", ".2f"),
        ("training-loss.md", "curve.training_loss_last", ".2f"),
        ("training-loss.md", "curve.dev_loss_lowest", ".2f"),
        ("training-loss.md", "curve.dev_loss_lowest_step", "d"),
        ("training-loss.md", "curve.dev_loss_last", ".2f"),
        ("training-loss.md", "curve.dev_accuracy_at_lowest", ".2f"),
        ("training-loss.md", "curve.dev_accuracy_last", ".2f"),
        ("calibration.md", "calibration.temperature", ".1f"),
        ("calibration.md", "calibration.accuracy", ".2f"),
        ("calibration.md", "calibration.confidence_raw", ".2f"),
        ("calibration.md", "calibration.confidence_fitted", ".2f"),
        ("calibration.md", "calibration.gap_raw", ".2f"),
        ("calibration.md", "calibration.gap_fitted", ".2f"),
        ("adapter.md", "adapter.numbers", ",d"),
        ("adapter.md", "adapter.numbers_of_base", ",d"),
        ("adapter.md", "adapter.moved_least", ".0%"),
        ("adapter.md", "adapter.moved_most", ".0%"),
        ("adapter.md", "labels.before", ".0%"),
        ("adapter.md", "labels.after", ".0%"),
        ("tokens.md", "loss.prompt_tokens", "d"),
        ("tokens.md", "loss.tokens", "d"),
        ("loss.md", "loss.tokens", "d"),
        ("loss.md", "loss.sum_before", ".1f"),
        ("loss.md", "loss.sum_after", ".1f"),
        ("loss.md", "loss.mean_before", ".2f"),
        ("loss.md", "loss.mean_after", ".2f"),
    ):
        part, name = key.split(".")
        told = format(figures[part][name], form)
        text = (folder / page).read_text(encoding="utf-8")
        assert re.search(rf"(?<![\d.,]){re.escape(told)}(?![\d]|[.,]\d)", text), (
            f"{page} does not tell {key}: {told}"
        )
