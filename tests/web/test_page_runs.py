"""Trainings and their curves, on the page in a real browser."""

from __future__ import annotations

from dataclasses import replace

from playwright.sync_api import expect

from symptoms.runs import RunDirectory
from web_page import NEEDS_CHROMIUM, OpenPage

pytestmark = NEEDS_CHROMIUM


def test_a_training_is_shown_live_beside_others(open_page: OpenPage, live_run: RunDirectory):
    """The curve grows as steps are written; a second run gets a line of its own; a table says the same."""
    page = open_page()
    page.locator("#tab-runs").click()
    expect(page.locator("#live")).to_contain_text("live is training: step 10 of 36")
    before = page.locator("#chart path.series-1").first.get_attribute("d")
    eleventh = replace(live_run.metrics()[-1], step=11, loss=9.0)
    live_run.append_metrics(eleventh)
    expect(page.locator("#live")).to_contain_text("step 11 of 36, loss 9.000")
    assert page.locator("#chart path.series-1").first.get_attribute("d") != before
    page.get_by_label("show learned").check()
    expect(page.locator("#legend li")).to_have_text(["live", "learned"])
    words = page.locator("#chart svg").get_attribute("aria-label") or ""
    assert "live: loss from" in words
    assert "learned: loss from" in words
    page.locator("summary").click()
    expect(page.locator("#curve-table")).to_contain_text("9.000")


def test_a_phone_shows_every_figure_of_every_run(open_page: OpenPage, live_run: RunDirectory):
    """Nothing is cut off; a run that goes on has the loss of its newest step, not a final one."""
    page = open_page(viewport={"width": 320, "height": 640})
    page.locator("#tab-runs").click()
    row = page.locator("#runs tbody", has_text="live")
    expect(row).to_contain_text(f"{live_run.metrics()[-1].loss:.3f}newest step")
    expect(page.locator("#runs tbody", has_text="learned")).not_to_contain_text("newest step")
    expect(row).to_contain_text("symptoms-base · train.jsonl · learning rate 0.004 · batch size 4")
    rights = page.locator("#runs :is(th, td)").evaluate_all(
        "all => all.map(one => Math.max(one.getBoundingClientRect().right, one.scrollWidth))"
    )
    assert max(rights) <= 320


def test_the_legend_names_only_what_is_drawn(open_page: OpenPage, live_run: RunDirectory):
    """Held-out losses are dashed, a single one is a ring, and a single step a dot."""
    live_run.rewind(1)
    (live_run.path / "dev_metrics.jsonl").write_text('{"step": 1, "dev_loss": 3.0}\n')
    page = open_page()
    page.locator("#tab-runs").click()
    expect(page.locator("#legend li")).to_have_text(["live", "live, held-out"])
    assert page.locator("#chart circle").count() == 2
    assert page.locator("#chart path").count() == 0
    assert page.locator("#legend path").count() == 0
    expect(page.locator("#chart")).to_contain_text("nats per token")
    page.locator("summary").click()
    expect(page.locator("#curve-table")).to_contain_text("live, held-out")
    expect(page.locator("#curve-table")).to_contain_text("3.000")
