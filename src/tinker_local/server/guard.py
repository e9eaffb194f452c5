"""What every request is asked before anything else looks at it: by which name, with which key, how large."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tinker_local.server.answering import problem
from tinker_local.server.bodies import MAX_BODY_BYTES, TOO_LARGE, limited
from tinker_local.server.problems import PREFIX, openai_problem

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
HEALTH = "/api/v1/healthz"
DOWNLOADS = "/api/v1/downloads/"
"""Links that are signed are asked for without a key."""


@dataclass(frozen=True)
class Access:
    """Who may ask: with which key, and under which names of this machine; None is any name."""

    api_key: str
    hosts: frozenset[str] | None = LOOPBACK_NAMES


def allowed_hosts(bound: str, added: list[str]) -> frozenset[str] | None:
    """The names under which a server that is bound to this address may be asked.

    Bound to the machine alone, these are the machine's own and those that were added; the key may then be the
    public default one, which a page elsewhere knows as well. Bound to an address that others reach, the key
    is the owner's, and any name may be used unless names were added.
    """
    if bound not in LOOPBACK_NAMES and not added:
        return None
    return LOOPBACK_NAMES | {bound.lower()} | {name_of(name) for name in added}


def name_of(host: str) -> str:
    """The name in a Host header, without the port and the brackets of IPv6; empty where there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True)
class Guard:
    """Checks the host, the key of every request but the health check, and the length of bodies.

    Starlette's TrustedHostMiddleware refuses in plain text, which is no answer of this protocol.
    """

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is refused; pass on what may be asked, with its body counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refused(scope["path"], Headers(scope=scope))
        if refused is not None:
            is_openai = scope["path"].startswith(f"{PREFIX}/")
            await (openai_problem if is_openai else problem)(*refused)(scope, receive, send)
            return
        await self.app(scope, limited(receive), send)

    def _refused(self, path: str, headers: Headers) -> tuple[int, str] | None:
        """Status and sentence of a refusal."""
        if self.access.hosts is not None and name_of(headers.get("host", "")) not in self.access.hosts:
            # A page elsewhere can make its own name point here (DNS rebinding), but not change this header.
            return 403, "This name is not served here; start the server with --allow-host NAME to serve it."
        if path == HEALTH or path.startswith(DOWNLOADS):
            return None
        if not hmac.compare_digest(_key_in(headers).encode(), self.access.api_key.encode()):
            return 401, "The API key is not the one this server was started with."
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
            return 413, TOO_LARGE
        return None


def _key_in(headers: Headers) -> str:
    """The key as the SDK sends it, or as a bearer token."""
    told = headers.get("x-api-key")
    if told is not None:
        return told
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
