"""The application without a model behind it: keys, limits, and what is said when no model can answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from symptoms.disclaimer import DISCLAIMER
from symptoms.web.app import Served, create_app
from symptoms.web.bodies import ModelAnswer
from symptoms.web.guard import LOOPBACK_NAMES, Access
from symptoms.web.rate_limit import RateLimit
from symptoms.web.waiting_line import WaitingLine
from training_runs import run
from web_texts import DANGER, SLEEP

KEY = "a-key-of-some-length"
MODEL = ModelAnswer(
    run=None, checkpoint="tinker://a/b", base_model="b", service="local", calibrated=False, country="GB",
    countries=["GB"], screen_languages=["English"], disclaimer=DISCLAIMER, version="0",
)  # fmt: skip


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TestClient]:
    """A client of an application whose line nobody works off."""
    monkeypatch.chdir(tmp_path)

    def make(key: str | None = None, per_minute: int = 100, room: int = 8) -> TestClient:
        access = Access(key, LOOPBACK_NAMES if key is None else None)
        # Nothing is refilled while a test goes on, however long it takes.
        limit = RateLimit(per_minute, clock=lambda: 0.0)
        served = Served(WaitingLine(room), MODEL, None, access, limit)
        return TestClient(create_app(served), base_url="http://127.0.0.1:8000")

    return make


def test_without_the_key_nothing_is_told(serve: Callable[..., TestClient]):
    """A missing, wrong or odd key is refused; the page itself, which asks for the key, is not."""
    client = serve(key=KEY)
    for told in (
        {},
        {"Authorization": KEY},
        {"Authorization": "Bearer no"},
        {"Authorization": b"Bearer \xff"},
    ):
        response = client.post("/api/assess", json={"text": DANGER}, headers=told)
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/api/model", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert client.get("/").status_code == 200


def test_behind_a_key_any_name_but_no_other_origin_is_served(serve: Callable[..., TestClient]):
    """The machine may have any name in its network."""
    told = {"Authorization": f"Bearer {KEY}", "Host": "lab.example:8000"}
    client = serve(key=KEY)
    assert client.get("/api/model", headers=told).status_code == 200
    assert client.get("/api/model", headers={**told, "Origin": "http://lab.example:8000"}).status_code == 200
    assert client.get("/api/model", headers={**told, "Origin": "http://evil.example"}).status_code == 403


def test_who_asks_too_much_has_to_wait(serve: Callable[..., TestClient]):
    """With a time to wait, that is counted in descriptions."""
    client = serve(per_minute=3)
    assert client.post("/api/screen", json={"text": SLEEP}).status_code == 200
    response = client.post("/api/assess/batch", json={"texts": [SLEEP] * 3})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "20")


def test_bodies_that_cannot_be_read_count_too(serve: Callable[..., TestClient]):
    """They cost work as well."""
    client = serve(per_minute=2)
    statuses = [client.post("/api/assess", json={"words": SLEEP}).status_code for _ in range(3)]
    assert statuses == [422, 422, 429]


def test_a_full_line_is_told(serve: Callable[..., TestClient]):
    """All of a batch enters, or none of it."""
    response = serve(room=2).post("/api/assess/batch", json={"texts": [SLEEP] * 3})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("limits", [{"room": 0}, {"per_minute": 1}], ids=["line", "rate"])
def test_no_limit_takes_the_place_of_the_crisis_notice(
    serve: Callable[..., TestClient], limits: dict[str, int]
):
    """Who speaks of danger is answered, also where no model can be asked."""
    client = serve(**limits)
    client.post("/api/screen", json={"text": SLEEP})
    answer = client.post("/api/assess", json={"text": DANGER})
    assert answer.status_code == 200
    assert answer.json()["abstained"]
    assert answer.json()["crisis_notice"]["emergency"] == "999"
    assert client.post("/api/screen", json={"text": DANGER}).json()["crisis"]


@pytest.mark.parametrize("limits", [{"room": 0}, {"per_minute": 1}], ids=["line", "rate"])
def test_no_limit_takes_the_place_of_the_language_notice(
    serve: Callable[..., TestClient], limits: dict[str, int]
):
    """Who writes in a language that is not read gets the helplines with the status of any other text."""
    client = serve(**limits)
    client.post("/api/screen", json={"text": SLEEP})
    answer = client.post("/api/assess", json={"text": "chcę umrzeć"})
    other = client.post("/api/assess", json={"text": SLEEP})
    assert answer.status_code == other.status_code == (503 if "room" in limits else 429)
    assert answer.headers["Retry-After"] == other.headers["Retry-After"]
    assert answer.json()["error"] == other.json()["error"]
    assert "language_notice" not in other.json()
    told = answer.json()["language_notice"]
    assert (told["language"], told["screened"], told["emergency"]) == ("Polish", False, "999")


def test_the_screen_has_the_helplines_beside_its_limit(serve: Callable[..., TestClient]):
    """A language that is not read is told with them, also to whoever has to wait."""
    client = serve(per_minute=1)
    client.post("/api/screen", json={"text": SLEEP})
    answer = client.post("/api/screen", json={"text": "chcę umrzeć"})
    assert answer.status_code == 429
    assert answer.json()["language_notice"]["emergency"] == "999"


def test_the_screen_alone_tells_a_language_that_it_does_not_read(serve: Callable[..., TestClient]):
    """In a few words, too, and with the disclaimer; of one that it reads it says nothing."""
    client = serve()
    told = client.post("/api/screen", json={"text": "chcę umrzeć"}).json()
    assert (told["language_notice"]["language"], told["language_notice"]["screened"]) == ("Polish", False)
    assert "not medical advice" in told["disclaimer"]
    assert client.post("/api/screen", json={"text": "no puedo dormir"}).json()["language_notice"] is None


def test_a_bucket_fills_again():
    """Evenly over a minute, and never beyond its size."""
    now = 0.0
    limit = RateLimit(60, clock=lambda: now)
    assert limit.seconds_to_wait("a", 60) == 0
    assert limit.seconds_to_wait("b", 1) == 0
    assert limit.seconds_to_wait("a", 2) == pytest.approx(2)
    now = 2.0
    assert limit.seconds_to_wait("a", 2) == 0
    now = 1000.0
    assert limit.seconds_to_wait("a", 60) == 0
    assert limit.seconds_to_wait("a", 1) > 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 1, "run 'symptoms models get', or 'symptoms train --data FILE' first."),
        (["--host", "0.0.0.0"], 2, "set SYMPTOMS_SERVE_KEY, or pass --key."),
        (["--host", "0.0.0.0", "--key", "short"], 2, "choose 16 or more letters and digits."),
        (["--country", "Britain"], 2, "'Britain' is no country code"),
    ],
    ids=["no run", "no key", "short key", "country"],
)
def test_what_cannot_be_served_ends_in_a_sentence(tmp_path: Path, arguments: list[str], code: int, told: str):
    """On standard error, with the exit code of its kind."""
    done = run(tmp_path, "-m", "symptoms", "serve", *arguments)
    assert done.returncode == code
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
