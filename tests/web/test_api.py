"""The API over HTTP, with a model that answers."""

from __future__ import annotations

import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from symptoms.runs import RunDirectory
from web_texts import DANGER, EXAMPLES, ODD, SLEEP, UNCLEAR


def test_an_assessment_has_its_evidence_in_code_points(api: httpx.Client):
    """Places count characters, also behind an emoji."""
    answer = api.post("/api/assess", json={"text": f"😀 {SLEEP}"}).json()
    spans = [span for symptom in answer["key_symptoms"] for span in symptom["evidence"]]
    assert {"lie awake", "tired"} == {span["text"] for span in spans}
    assert all(f"😀 {SLEEP}"[span["start"] : span["end"]] == span["text"] for span in spans)


def test_an_unclear_text_gets_no_condition(api: httpx.Client):
    """Below the run's threshold the answer abstains and says why."""
    answer = api.post("/api/assess", json={"text": UNCLEAR}).json()
    assert (answer["abstained"], answer["condition"]) == (True, None)
    assert answer["abstained_because"].startswith("No condition is clearly resembled")


@pytest.mark.parametrize(("country", "emergency"), [("GB", "999"), ("us", "911"), ("ZZ", None)])
def test_a_crisis_has_the_numbers_of_the_country_that_was_asked_for(
    api: httpx.Client, country: str, emergency: str | None
):
    """Of each request by itself, by the screen alone as with the model."""
    asked = {"text": DANGER, "country": country}
    screened = api.post("/api/screen", json=asked).json()
    assessed = api.post("/api/assess", json=asked).json()
    assert screened["crisis_notice"] == assessed["crisis_notice"]
    assert screened["crisis_notice"]["emergency"] == emergency


def test_a_batch_keeps_its_order_and_tells_what_cannot_be_read(api: httpx.Client):
    """One description that is empty leaves the others their answers."""
    texts = [example["input"] for example in EXAMPLES] + [" "]
    results = api.post("/api/assess/batch", json={"texts": texts}).json()["results"]
    answered = [one["assessment"]["condition"] for one in results[:-1]]
    assert answered == [example["condition"] for example in EXAMPLES]
    assert results[-1] == {
        "assessment": None,
        "error": "The description is empty; tell in a sentence or two what is going on.",
    }


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_texts_get_an_assessment(api: httpx.Client, text: str):
    """In UTF-8, and with nothing in it that the text ordered."""
    response = api.post(
        "/api/assess", content=json.dumps({"text": text}), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 200, response.text
    assert "gold" not in response.json()["text"]


REFUSED = {
    "empty": (b'{"text": ""}', 422),
    "too long for the model": (json.dumps({"text": "word " * 20_000}).encode(), 422),
    "a megabyte": (json.dumps({"text": "a" * 1_000_000}).encode(), 413),
    "twenty megabytes": (b'"' + b"a" * 20_000_000, 413),
    "no JSON": (b"sleep", 400),
    "no UTF-8": (b'{"text": "\xff"}', 400),
    "too deep": (b"[" * 100_000, 400),
    "a number of many digits": (b'{"text": ' + b"9" * 5_000 + b"}", 400),
    "no object": (b'["sleep"]', 422),
    "another field": (b'{"text": "sleep", "\\ud800": 1}', 422),
    "no country": (b'{"text": "sleep", "country": "Britain"}', 422),
    "nothing": (b"", 400),
}


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_ends_in_one_sentence(api: httpx.Client, body: bytes, status: int):
    """With the status that fits, as JSON with the request's id."""
    try:
        response = api.post("/api/assess", content=body, headers={"Content-Type": "application/json"})
    except httpx.WriteError:
        # So long a body is not read to its end.
        assert len(body) > 16 * 2**20
        return
    assert response.status_code == status
    answer = response.json()
    assert answer["request_id"] == response.headers["X-Request-Id"]
    assert answer["error"].endswith(".")
    assert "\n" not in answer["error"]


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("assess", {}, "'text' is missing; add it."),
        ("assess", [], 'The body has to be an object of JSON, such as {"text": "..."}.'),
        ("assess", {"text": 4}, "'text' has to be text."),
        ("assess", {"text": "a", "words": 1}, "'words' is no field of this request; leave it out."),
        ("assess", {"text": "a", "\ud800": 1}, "The body is not of the form that /openapi.json describes."),
        (
            "assess",
            {"text": "a", "country": "GBR"},
            "'country' has to be a country code of two letters, such as GB.",
        ),
        ("screen", {"text": "a", "before_model": "yes"}, "'before_model' has to be true or false."),
        ("assess/batch", {"texts": "a"}, "'texts' has to be a list of texts."),
        ("assess/batch", {"texts": []}, "'texts' has to hold at least one text."),
        ("assess/batch", {"texts": ["a", None]}, "'texts', text 2 has to be text."),
        (
            "assess/batch",
            {"texts": ["a"] * 51},
            "'texts' may hold at most 50 texts; send the others in another request.",
        ),
    ],
)
def test_a_body_of_another_form_is_told_in_our_words(
    api: httpx.Client, path: str, body: object, sentence: str
):
    """Which field, what it has to be, and what to do."""
    refused = api.post(f"/api/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["error"]) == (422, sentence)


@pytest.mark.parametrize("text", [".", "?!", "... 3.", "-- 12"])
def test_a_text_without_words_names_no_condition(api: httpx.Client, text: str):
    """It is refused in a sentence."""
    refused = api.post("/api/assess", json={"text": text})
    assert refused.status_code == 422
    assert refused.json()["error"] == (
        "The description has no words; tell in a sentence or two what is going on."
    )


def test_another_media_type_is_refused(api: httpx.Client):
    """A form of another page could send it without asking."""
    assert api.post("/api/assess", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_other_hosts_and_origins_are_refused(api: httpx.Client, headers: dict[str, str]):
    """A page elsewhere cannot ask, not even under a name that it made point here."""
    response = api.post("/api/assess", json={"text": SLEEP}, headers=headers)
    assert response.status_code == 403


def test_the_own_origin_may_ask(api: httpx.Client, web_url: str):
    """By the address that was printed, and as localhost."""
    for url in (web_url, web_url.replace("127.0.0.1", "localhost")):
        response = httpx.get(f"{url}/api/model", headers={"Origin": url}, trust_env=False)
        assert response.json()["run"] == "learned"


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/model", "/nowhere", "/openapi.json"])
def test_every_answer_is_protected(api: httpx.Client, path: str):
    """No inline code, no frames, no guessing of types, no referrer."""
    headers = api.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_request_may_bring_its_id(api: httpx.Client):
    """One that could not be a header's value is replaced."""
    assert api.get("/healthz", headers={"X-Request-Id": "mine-7"}).headers["X-Request-Id"] == "mine-7"
    assert api.get("/healthz", headers={"X-Request-Id": "a b"}).headers["X-Request-Id"] != "a b"


def test_a_training_can_be_followed(api: httpx.Client, live_run: RunDirectory):
    """Only steps after the one that is known are sent."""
    outline = next(run for run in api.get("/api/runs").json()["runs"] if run["name"] == "live")
    assert (outline["state"], outline["steps"], outline["num_steps"]) == ("training", 10, 36)
    assert (outline["loss"], outline["final_loss"]) == (live_run.metrics()[-1].loss, None)
    followed = api.get("/api/runs/live", params={"after": 8}).json()
    assert [point["step"] for point in followed["metrics"]] == [9, 10]
    assert followed["metrics"][0]["loss"] == live_run.metrics()[8].loss


def test_a_training_goes_on_as_long_as_its_process(api: httpx.Client, live_run: RunDirectory, tmp_path: Path):
    """However long a step takes; and has stopped as soon as that is gone, however lately it wrote."""

    def state() -> str:
        return api.get("/api/runs/live").json()["run"]["state"]

    for file in live_run.path.iterdir():
        os.utime(file, (1e9, 1e9))
    assert state() == "training"
    (live_run.path / "lock").rename(tmp_path / "lock")
    (live_run.path / "lock").write_text("12345\n")
    assert state() == "stopped"
    (live_run.path / "lock").unlink()
    assert state() == "stopped"


def test_a_damaged_run_hides_no_other(api: httpx.Client, live_run: RunDirectory):
    """It is listed as unreadable."""
    (live_run.path / "manifest.json").write_text("{")
    states = {run["name"]: run["state"] for run in api.get("/api/runs").json()["runs"]}
    assert states == {"learned": "finished", "live": "unreadable"}
    assert api.get("/api/runs/live").json()["run"]["state"] == "unreadable"


@pytest.mark.parametrize("name", ["none", "..%2f..", "..", "%2Fetc"])
def test_a_run_that_is_not_there_is_not_found(api: httpx.Client, name: str):
    """No name leads out of runs/."""
    assert api.get(f"/api/runs/{name}").status_code == 404


def test_many_at_once_are_neither_lost_nor_mixed_up(api: httpx.Client):
    """200 assessments by 16 clients: each answer has the condition and the places of its own text."""
    alone = {one["input"]: api.post("/api/assess", json={"text": one["input"]}).json() for one in EXAMPLES}

    def ask(number: int) -> tuple[int, float, dict[str, Any]]:
        started = time.perf_counter()
        answer = api.post("/api/assess", json={"text": shifted(number)}).json()
        return number, time.perf_counter() - started, answer

    def shifted(number: int) -> str:
        return " " * number + EXAMPLES[number % 4]["input"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    for number, _, answer in answers:
        assert answer["condition"] == EXAMPLES[number % 4]["condition"]
        expected = [start + number for start in starts(alone[EXAMPLES[number % 4]["input"]])]
        assert starts(answer) == expected
    assert sum(bool(starts(answer)) for _, _, answer in answers) >= 100
    seconds = [taken for _, taken, _ in answers]
    p95 = statistics.quantiles(seconds, n=20)[-1]
    print(f"\n200 assessments from 16 clients: median {statistics.median(seconds):.2f} s, p95 {p95:.2f} s")


def starts(answer: dict[str, Any]) -> list[int]:
    return [span["start"] for symptom in answer["key_symptoms"] for span in symptom["evidence"]]
