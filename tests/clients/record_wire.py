"""Record what the installed SDK sends, for tests/wire/test_contract.py to send again without it.

    make record-wire

Drives the core flow (drive_sdk.py) and some housekeeping against a server in this process, and writes one
line a request to tests/wire/sdk.json: method, path, the headers that matter, the body (protobuf as base64),
and of the answer the names that the server gave and the numbers to compare.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["TINKER_TELEMETRY"] = "0"

import tinker
from drive_sdk import drive
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_in_process import KEY, serving
from tinker_local.wire import tinker_public_pb2 as proto
from tiny_models import write_fixed_llama

FIXTURE = Path(__file__).parents[1] / "wire" / "sdk.json"
BASE_MODEL = "<base model>"
"""Stands for the served model, whose name is a folder of the machine."""
USUAL = {"content-type": "application/json", "accept": "application/json"}
"""Headers that are not written down where they are so."""
HEADERS = ("content-type", "content-encoding", "accept", "x-tinker-sampling-backpressure")
ISSUED = ("session_id", "request_id", "model_id", "sampling_session_id", "path")
BY_THE_CLOCK = "session_heartbeat"


class Recorder:
    """An application that passes everything on and keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.exchanges: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and keep it with what matters of its answer; heartbeats are left out."""
        if scope["type"] != "http" or scope["path"].endswith(BY_THE_CLOCK):
            await self._app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked, told = await whole_body(receive), b""
        exchange: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else ""),
            "headers": {name: headers[name] for name in HEADERS if name in headers},
        }
        self.exchanges.append(exchange)

        async def received() -> Message:
            return {"type": "http.request", "body": asked, "more_body": False}

        async def sent(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start":
                exchange["status"] = message["status"]
            told += message.get("body", b"")
            await send(message)

        await self._app(scope, received, sent)
        if asked:
            exchange["body"] = body_of(exchange["headers"], asked)
        exchange["headers"] = {k: v for k, v in exchange["headers"].items() if USUAL.get(k) != v}
        exchange.update(answer_of(told))


async def whole_body(receive: Receive) -> bytes:
    """The body of a request, however many messages it comes in."""
    body, message = b"", {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def body_of(headers: dict[str, str], body: bytes) -> Any:
    """A body as it is written down: JSON as it is, all else as base64."""
    if headers.get("content-type") == "application/json":
        return json.loads(body)
    return base64.b64encode(body).decode()


def answer_of(body: bytes) -> dict[str, Any]:
    """The names that an answer issues, and the loss of a batch."""
    try:
        content: dict[str, Any] | list[Any] | str | float | None = json.loads(body)
    except ValueError:
        if b"loss:sum" not in body:
            return {}
        metrics = proto.ForwardBackwardOutput.FromString(body).metrics
        return {"loss": round(metrics["loss:sum"], 4)} if metrics else {}
    if not isinstance(content, dict):
        return {}
    issued = {name: content[name] for name in ISSUED if isinstance(content.get(name), str)}
    return {"issued": issued} if issued else {}


def create_loss(service: tinker.ServiceClient) -> None:
    """A loss of the client's own, as a graph."""

    def weighted(logprobs: Any, weights: Any) -> Any:
        loss = -(logprobs[:-1] * weights[1:]).sum(dim=0)
        return loss, {"custom/weighted:mean": loss}

    service.create_custom_loss(weighted, {"logprobs": 1, "weights": 1}).result()


def keep_house(url: str) -> None:
    """What programs ask for beside training: listings, an expiry, a deletion."""
    rest = tinker.RestClient(base_url=url, api_key=KEY)
    run = rest.list_training_runs().result().training_runs[0]
    rest.get_training_run(run.training_run_id).result()
    for checkpoint in rest.list_user_checkpoints().result().checkpoints:
        rest.get_weights_info_by_tinker_path(checkpoint.tinker_path).result()
        rest.set_checkpoint_ttl_from_tinker_path(checkpoint.tinker_path, 3600).result()
        rest.list_checkpoints(checkpoint.tinker_path.split("/")[2]).result()
        rest.delete_checkpoint_from_tinker_path(checkpoint.tinker_path).result()
    rest.get_session(rest.list_sessions().result().sessions[0]).result()


def main() -> None:
    """Record against a model of fixed weights, and write the file."""
    recorders: list[Recorder] = []

    def wrap(app: ASGIApp) -> ASGIApp:
        recorders.append(Recorder(app))
        return recorders[0]

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        write_fixed_llama(model)
        with (
            serving(model, Path(folder) / "home", wrap) as running,
            tinker.ServiceClient(base_url=running.url, api_key=KEY) as service,
        ):
            create_loss(service)
            drive(service, running.model)
            keep_house(running.url)
        lines = [json.dumps(exchange, separators=(",", ":")) for exchange in recorders[0].exchanges]
        text = ",\n".join(lines).replace(str(model), BASE_MODEL)
    FIXTURE.write_text(f'{{"sdk": "{tinker.__version__}", "exchanges": [\n{text}\n]}}\n')
    print(f"{FIXTURE}: {len(lines)} exchanges, {len(text) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
