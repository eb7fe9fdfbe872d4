"""A small authorization server on the loopback, whose troubles a test chooses: for the client, without ours.

It follows RFC 8628, RFC 7009 and RFC 8414 as far as a client can see it, in a thread, with the standard library.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

WELL_KNOWN = "/.well-known/oauth-authorization-server"
Reply = tuple[int, Any]
"""Status and what is sent: a document, or text as it is."""


@attrs.define
class AuthorizationServer:
    """What the server does, and what it has seen.

    Attributes:
        url: the issuer: with the path under which it is served.
        metadata: whether there is a document, and with what changes.
        approve_after: polls of a code that are answered with ``authorization_pending``; None: nobody approves.
        decision: what is answered then, if not a token: an OAuth error.
        troubles: path → answers that are given before the proper ones; a callable does something first.
        calls: how often each path was asked for; `forms`: with what.
        agents: how those who asked have named themselves.
        keys, refreshes: what was issued and is good.
    """

    origin: str
    path: str = ""
    metadata: dict[str, Any] | None = attrs.field(factory=dict)
    inserted: bool = True
    interval: float | None = 0.02
    expires_in: float = 60
    lifetime: int | None = 3600
    renewable: bool = True
    granted: str | None = None
    approve_after: int | None = 1
    decision: str | None = None
    troubles: dict[str, deque[Reply | Callable[[], Reply | None]]] = attrs.field(factory=dict)
    calls: Counter[str] = attrs.field(factory=Counter)
    forms: list[tuple[str, dict[str, str]]] = attrs.field(factory=list)
    agents: set[str] = attrs.field(factory=set)
    keys: set[str] = attrs.field(factory=set)
    refreshes: set[str] = attrs.field(factory=set)
    codes: dict[str, int] = attrs.field(factory=dict)
    on_issue: Callable[[str], None] = lambda key: None
    _lock: threading.RLock = attrs.field(factory=threading.RLock)

    @property
    def url(self) -> str:
        return f"{self.origin}{self.path}"

    @property
    def flows(self) -> int:
        """How many codes were asked for."""
        return len(self.codes)

    def trouble(self, path: str, *replies: Reply | Callable[[], Reply | None]) -> None:
        """Answer the next requests for a path like this."""
        self.troubles.setdefault(path, deque()).extend(replies)

    def sent(self, path: str) -> list[dict[str, str]]:
        """The forms that came for a path."""
        return [form for where, form in self.forms if where == path]

    # --- answers --------------------------------------------------------------------------------------

    def answer(self, method: str, url: str, body: str, authorization: str) -> Reply:
        path = urlsplit(url).path
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        with self._lock:
            short = path.removeprefix(self.path) if method == "POST" else path
            self.calls[short] += 1
            self.forms.append((short, form))
            trouble = self.troubles[short].popleft() if self.troubles.get(short) else None
        if callable(trouble):
            trouble = trouble()
        if trouble is not None:
            return trouble
        with self._lock:
            return self._answered(method, path, short, form, authorization)

    def _answered(self, method: str, path: str, short: str, form: dict[str, str], authorization: str) -> Reply:
        place = f"{WELL_KNOWN}{self.path}" if self.inserted else f"{self.path}{WELL_KNOWN}"
        if method == "GET":
            return (200, self._metadata()) if path == place and self.metadata is not None else (404, "<html>")
        if short in ("/device_authorization", "/api/v1/auth/device/authorize"):
            return self._authorize()
        if short in ("/token", "/api/v1/auth/device/token"):
            return self._refresh(form) if form.get("grant_type") == "refresh_token" else self._poll(form)
        if short == "/revoke":
            self.keys.discard(form["token"])
            self.refreshes.discard(form["token"])
            return 200, ""
        if short == "/introspect":
            active = form["token"] in self.keys and authorization == f"Bearer {form['token']}"
            return 200, {"active": True, "username": "ada", "scope": "data:read"} if active else {"active": False}
        return 404, {"detail": "nothing here"}

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "device_authorization_endpoint": f"{self.url}/device_authorization",
            "token_endpoint": f"{self.url}/token",
            "revocation_endpoint": f"{self.url}/revoke",
            "introspection_endpoint": f"{self.url}/introspect",
        } | (self.metadata or {})

    def _authorize(self) -> Reply:
        code = secrets.token_urlsafe(16)
        self.codes[code] = 0
        document = {
            "device_code": code,
            "user_code": "BCDF-GHJK",
            "verification_uri": f"{self.url}/device",
            "verification_uri_complete": f"{self.url}/device?user_code=BCDF-GHJK",
            "expires_in": self.expires_in,
        }
        return 200, document | ({} if self.interval is None else {"interval": self.interval})

    def _poll(self, form: dict[str, str]) -> Reply:
        polls = self.codes.get(form.get("device_code", ""))
        if polls is None:
            return 400, {"error": "invalid_grant", "error_description": "unknown device code"}
        self.codes[form["device_code"]] = polls + 1
        if self.approve_after is None or polls < self.approve_after:
            return 400, {"error": "authorization_pending"}
        if self.decision is not None:
            return 400, {"error": self.decision}
        return self._issue()

    def _refresh(self, form: dict[str, str]) -> Reply:
        if form["refresh_token"] not in self.refreshes:
            return 400, {"error": "invalid_grant"}
        self.refreshes.discard(form["refresh_token"])
        return self._issue()

    def _issue(self) -> Reply:
        key, refresh = f"key-{secrets.token_urlsafe(16)}", f"refresh-{secrets.token_urlsafe(16)}"
        self.keys.add(key)
        self.on_issue(key)
        document: dict[str, Any] = {"access_token": key, "token_type": "Bearer"}
        if self.renewable:
            self.refreshes.add(refresh)
            document["refresh_token"] = refresh
        if self.lifetime is not None:
            document["expires_in"] = self.lifetime
        if self.granted is not None:
            document["scope"] = self.granted
        return 200, document


def hang(seconds: float = 30.0) -> Callable[[], None]:
    """A trouble: no answer for a while. The proper one comes afterwards, when nobody waits for it any more."""
    return lambda: time.sleep(seconds)


@contextmanager
def authorization_server(path: str = "") -> Iterator[AuthorizationServer]:
    """A running server, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else a body waits 40 ms for the acknowledgement of its head

        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            state.agents.add(self.headers.get("user-agent", ""))
            status, content = state.answer(self.command, self.path, body, self.headers.get("authorization", ""))
            text = content if isinstance(content, str) else json.dumps(content)
            try:
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", content)
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())
            except OSError:  # who asked has gone
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who asked has gone."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    state = AuthorizationServer(f"http://127.0.0.1:{server.server_port}", path)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
