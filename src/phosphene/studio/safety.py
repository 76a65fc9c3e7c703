"""Who may talk to the studio: its own page, on this machine, or who knows the token."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from phosphene.studio.store import identifier

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
VISITOR, TOKEN = "phosphene_visitor", "phosphene_token"
YEARS = 10 * 365 * 24 * 3600


class Guard:
    """The app, for requests that are let in. Each has a `visitor` in its state."""

    def __init__(self, app: Any, *, hosts: tuple[str, ...], token: str = "") -> None:
        self.app, self.hosts, self.token = app, {host.lower() for host in hosts}, token
        self.kept = hashlib.sha256(token.encode()).hexdigest()  # what a cookie may have in it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        cookies = _cookies(headers.get("cookie", ""))
        wrong = self._wrong(scope, headers, cookies)
        if wrong:
            await _refused(scope, send, *wrong)
            return
        visitor = cookies.get(VISITOR, "")
        known = len(visitor) == 32 and all(c in "0123456789abcdef" for c in visitor)
        visitor = visitor if known else identifier()
        scope.setdefault("state", {})["visitor"] = visitor
        fresh = [] if known else [f"{VISITOR}={visitor}; Path=/; HttpOnly; SameSite=Strict; Max-Age={YEARS}"]
        if self.token and cookies.get(TOKEN) != self.kept:
            fresh.append(f"{TOKEN}={self.kept}; Path=/; HttpOnly; SameSite=Strict; Max-Age={YEARS}")

        async def sent(message: Any) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                more = [*HEADERS, *((b"set-cookie", cookie.encode()) for cookie in fresh)]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        await self.app(scope, receive, sent)

    def _wrong(
        self, scope: Scope, headers: dict[str, str], cookies: dict[str, str]
    ) -> tuple[int, str, str] | None:
        host = headers.get("host", "")
        name = (_split(f"//{host}").hostname or "") if _plain(host) else ""
        if name.lower() not in self.hosts and f"[{name.lower()}]" not in self.hosts:
            return 403, "E_HOST", "this is not the studio's address; open the one that it printed"
        origin = headers.get("origin")
        if origin is not None and _split(origin).netloc.lower() != host.lower():
            return 403, "E_ORIGIN", "other pages may not use the studio"
        if headers.get("sec-fetch-site") == "cross-site" and scope.get("path") != "/":
            return 403, "E_ORIGIN", "other pages may not use the studio"
        if self.token:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            typed = [headers.get("authorization", "").removeprefix("Bearer "), *query.get("token", [])]
            given = [(one, self.token) for one in typed] + [(cookies.get(TOKEN, ""), self.kept)]
            if not any(hmac.compare_digest(one.encode(), known.encode()) for one, known in given):
                return 401, "E_TOKEN", "the studio's token is missing or wrong; open the address it printed"
        return None


def _plain(host: str) -> bool:
    return bool(host) and not any(c in host for c in "@/\\?# ")


def _split(address: str) -> SplitResult:
    """Its parts; none where it is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _cookies(text: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(text).items()}
    except Exception:
        return {}


async def _refused(scope: Scope, send: Send, status: int, code: str, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + status, "reason": code})
        return
    body = json.dumps({"code": code, "message": message}).encode()
    headers = [(b"content-type", b"application/json"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
