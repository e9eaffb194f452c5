"""Checkpoints that are fetched over HTTP: links that hold without a key, for one file and an hour."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tinker_local.errors import RequestError
from tinker_local.server.answering import answer, problem, state_of
from tinker_local.server.guard import DOWNLOADS
from tinker_local.server.rest import CHECKPOINT, path_of
from tinker_local.service.checkpoints import PEFT_FILES, CheckpointPath
from tinker_local.wire import answers

LINK_SECONDS = 3600
"""The SDK's command asks for new links five minutes before these end."""


@dataclass(frozen=True)
class Links:
    """Signs links with a secret that no one else has, and that ends with the process."""

    secret: bytes

    @classmethod
    def new(cls) -> Links:
        """With a secret of its own."""
        return cls(secrets.token_bytes(32))

    def query(self, path: CheckpointPath, file: str, expires: int) -> str:
        """What is added to a file's address; `expires` is in seconds since 1970."""
        return urlencode({"expires": expires, "signature": self._signature(path, file, expires)})

    def holds(self, path: CheckpointPath, file: str, expires: str, signature: str) -> bool:
        """Whether a link was made here, for this very file, and has not ended."""
        if not (expires.isascii() and expires.isdigit()) or int(expires) < time.time():
            return False
        return hmac.compare_digest(self._signature(path, file, int(expires)).encode(), signature.encode())

    def _signature(self, path: CheckpointPath, file: str, expires: int) -> str:
        return hmac.new(self.secret, f"{path}\n{file}\n{expires}".encode(), "sha256").hexdigest()


def download_routes() -> list[Route]:
    """All routes of this module."""
    return [
        Route(f"{CHECKPOINT}/external_weights_urls", _urls),
        Route(DOWNLOADS + "{run_id}/{kind}/{name}/{file}", _file, name="download"),
    ]


def _links(request: Request) -> Links:
    return request.app.state.links


async def _urls(request: Request) -> Response:
    path = path_of(request)
    if path.kind != "external_weights":
        raise RequestError(f"{path} was not saved to be downloaded; save it with save_weights_external.")
    # In a thread, since each file is read to see that it is whole.
    files = await asyncio.to_thread(state_of(request).store.peft_files, path)
    expires = int(time.time()) + LINK_SECONDS
    urls: dict[str, str] = {}
    for file in files:
        parts = {"run_id": path.run, "kind": path.kind, "name": path.name, "file": file}
        urls[file] = f"{request.url_for('download', **parts)}?{_links(request).query(path, file, expires)}"
    return answer(answers.ExternalWeightsUrls(urls=urls, expires=datetime.fromtimestamp(expires, UTC)))


async def _file(request: Request) -> Response:
    path, file = path_of(request), request.path_params["file"]
    query = request.query_params
    holds = _links(request).holds(path, file, query.get("expires", ""), query.get("signature", ""))
    if not holds or file not in PEFT_FILES:
        return problem(403, "This link does not hold, or no longer; ask for the checkpoint's links again.")
    files = await asyncio.to_thread(state_of(request).store.peft_files, path)
    return FileResponse(files[file], media_type="application/octet-stream")
