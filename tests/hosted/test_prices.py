"""Prices of hosted Tinker: dated, listed, read anew from a list as Tinker's documentation has it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from symptoms.cli.app import app
from symptoms.errors import InputError, ServiceError
from symptoms.runs.step_metrics import StepMetrics
from symptoms.runs.summary import dollars_spent
from symptoms.service.prices import Price, price_of, prices, refresh_prices

LIST = [
    {
        "name": "Qwen3-8B", "tinker_id": "Qwen/Qwen3-8B", "type": "Hybrid", "arch": "Dense", "size": "Small",
        "context": "32K", "prefill": "$0.21", "cached_prefill": "$0.042", "sample": "$0.70", "train": "$0.50",
        "original_train": "$1.00",
    },
    {"tinker_id": "some/Large", "prefill": "$1,000.50", "sample": "$2,000", "train": "$3,000.25"},
    {"tinker_id": "some/Unpriced", "context": "32K", "sample": "$1.00"},
]  # fmt: skip


class Page(HTTPServer):
    """Answers every request with `status` and `body`."""

    status, body = 200, json.dumps(LIST).encode()


class Answer(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A server with such a list, and a place of its own for what is read from it."""
    monkeypatch.setenv("SYMPTOMS_PRICES", str(tmp_path / "kept" / "prices.toml"))
    with Page(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(page: Page) -> str:
    return f"http://127.0.0.1:{page.server_port}/tinker/models.json"


def said_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    app(["models", "prices", *arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_each_price_of_the_package_has_a_date_and_a_model_without_one_is_listed(
    page: Page, capsys: pytest.CaptureFixture[str]
):
    """The table says of when each price is, and leaves out none that it does not know."""
    said = said_by(capsys)
    assert "https://tinker-docs.thinkingmachines.ai/tinker/models.json" in said
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if "/" in line.split(" ")[0]}
    assert rows["Qwen/Qwen3-8B"] == ["0.440", "0.195", "0.600", "2026-10-07"]
    assert rows["nvidia/NVIDIA-Nemotron-3.5-Lightning-30B-A3B-BF16"] == ["-", "-", "-", "-"]
    assert all(price is None or price.as_of <= date.today() for price in prices().models.values())


def test_prices_read_anew_are_kept_with_the_day(page: Page, capsys: pytest.CaptureFixture[str]):
    """The command reads the list; from then on its prices are those that an estimate goes by."""
    assert "0.500" in said_by(capsys, "--refresh", "--from", url(page))
    assert price_of("Qwen/Qwen3-8B") == Price(train=0.5, prefill=0.21, sample=0.7, as_of=date.today())
    assert price_of("some/Large") == Price(train=3000.25, prefill=1000.5, sample=2000, as_of=date.today())
    assert price_of("some/Unpriced") is None
    told = json.loads(said_by(capsys, "--json"))
    assert told["source"] == url(page)
    assert told["dollars_per_million_tokens"]["some/Unpriced"] is None


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b"", "status 503"),
        (200, b"<html>", "no list of models with prices"),
        (200, b'[{"tinker_id": "a/b", "train": "free", "prefill": "$1"}]', "no list of models with prices"),
        (200, b'[{"tinker_id": "a/b", "train": "-$1", "prefill": "$1"}]', "no list of models with prices"),
        (200, b"[]", "it tells no price"),
    ],
)
def test_a_list_that_cannot_be_used_changes_nothing(status: int, body: bytes, reason: str, page: Page):
    """One sentence with the reason, the date of what stays in use, and where today's prices are shown."""
    page.status, page.body = status, body
    with pytest.raises(ServiceError, match=reason) as caught:
        refresh_prices(url(page))
    assert "the newest of 2026-10-07, stay as they are" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert price_of("Qwen/Qwen3-8B") == Price(train=0.44, prefill=0.195, sample=0.6, as_of=date(2026, 10, 7))


def test_without_a_network_the_command_ends_in_a_sentence(page: Page):
    """Neither a name that nobody knows nor a closed port is a reason for a traceback."""
    for nowhere in ("http://nowhere.invalid/models.json", "http://127.0.0.1:9/models.json"):
        with pytest.raises(ServiceError, match=r"No prices could be read from .* \(ConnectError\)"):
            refresh_prices(nowhere)


def test_a_damaged_file_of_prices_is_told(page: Page, tmp_path: Path):
    """With what to do about it."""
    refresh_prices(url(page))
    (tmp_path / "kept" / "prices.toml").write_text("[models]\nx = {train = 1}")
    with pytest.raises(InputError, match="remove it, or read them anew"):
        price_of("Qwen/Qwen3-8B")


def test_a_run_costs_what_it_began_at():
    """Its steps and evaluations at the price in its manifest, whatever the price is by now."""
    price = Price(train=2.0, prefill=1.0, as_of=date(2026, 1, 1))
    manifest = {"base_model": "Qwen/Qwen3-8B", "price": price.in_json, "num_dev_tokens": 250_000}
    steps = [StepMetrics(number, 0, 1.0, 1e-3, 500_000, 1000, 1.0) for number in (1, 2)]
    assert dollars_spent(manifest, steps, 2) == pytest.approx(2 * 1.0 + 2 * 0.5)
    assert dollars_spent({"base_model": "some/unknown"}, steps, 2) is None
