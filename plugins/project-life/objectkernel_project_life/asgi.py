"""Requests and answers of plain ASGI: what the ready handlers need of a framework."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import attrs
from objectkernel.errors import KernelError
from objectkernel_contracts import Principal
from pydantic import BaseModel, ValidationError

from objectkernel_project_life.actions import BODY_BYTES, NO_STORE

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
M = TypeVar("M", bound=BaseModel)

LOG: Final = logging.getLogger("objectkernel.plugin.project-life")
COLLECTION: Final = "projects"
VERBS: Final = frozenset({"pause", "resume"})
"""What a path may have behind the id."""
RETRY_SECONDS: Final = 1


class Refused(Exception):
    """A request that is answered without asking the register."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more


@attrs.frozen
class Asked:
    """A request of somebody who may send it.

    Attributes:
        base: the path of the list of projects, as the client sees it.
    """

    scope: Scope
    receive: Receive
    principal: Principal
    base: str

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.scope["headers"]}

    @property
    def id(self) -> str:
        """The project: the path parameter ``id`` or ``project_id`` that a router has found, else what the path says."""
        found = self.scope.get("path_params") or {}
        for name in ("id", "project_id"):
            if name in found:
                return str(found[name])
        match parts_of(self.scope):
            case (*_, id, verb) if verb in VERBS:
                return id
            case (*_, id):
                return id
            case _:
                return ""

    async def body(self, kind: type[M]) -> M:
        """The JSON value that was sent.

        Raises:
            Refused: there is too much of it, or it is another.
        """
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Refused(HTTPStatus.BAD_REQUEST, "the request ended before its body did")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > BODY_BYTES:
                raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {BODY_BYTES} bytes")
            more = message.get("more_body", False)
        return _valid(lambda: kind.model_validate_json(b"".join(parts)))

    def query(self, kind: type[M]) -> M:
        """The parameters behind the question mark."""
        pairs = parse_qsl(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        return _valid(lambda: kind.model_validate(dict(pairs)))


def parts_of(scope: Scope) -> tuple[str, ...]:
    """The path behind ``projects`` in its parts; where it has no such part, behind where the application is mounted."""
    path, root = scope["path"], scope.get("root_path", "")
    whole = _split(path)
    if COLLECTION in whole:
        return whole[len(whole) - whole[::-1].index(COLLECTION) :]
    return _split(path.removeprefix(root) if root else path)


def base_of(scope: Scope) -> str:
    """The path that a request was sent to, also where a framework has taken that of a mount away."""
    path, root = scope["path"].rstrip("/"), scope.get("root_path", "").rstrip("/")
    sent = (scope.get("raw_path") or b"").decode("latin-1").partition("?")[0].rstrip("/")
    if sent.endswith(path):
        return sent if sent.startswith(root) else f"{root}{sent}"
    return path if path.startswith(root) else f"{root}{path}"


def _valid(read: Callable[[], M]) -> M:
    """What was read; what is wrong with it is told without showing it."""
    try:
        return read()
    except ValidationError as error:
        listed = [
            {"at": "".join(f"/{part}" for part in one["loc"]), "detail": one["msg"]}
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not what this route takes", errors=listed)


async def send_error(send: Send, scope: Scope, error: KernelError) -> None:
    """What an error says, where its status is below 500; else its code alone, and the rest to the log."""
    status = HTTPStatus(getattr(type(error), "http_status", HTTPStatus.INTERNAL_SERVER_ERROR))
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        more = {"why": list(error.why), "fix": error.fix}
        await send_problem(send, scope, status, error.what, {}, code=error.code, **more)
        return
    LOG.error("%s %s: %s", scope["method"], scope["path"], error.text())
    away = status == HTTPStatus.SERVICE_UNAVAILABLE
    detail = "what this needs is away for the moment" if away else "the host failed"
    headers = {"Retry-After": str(RETRY_SECONDS)} if away else {}
    await send_problem(send, scope, status, detail, headers, code=error.code)


async def send_problem(
    send: Send, scope: Scope, status: HTTPStatus, detail: str, headers: Mapping[str, str], **more: Any
) -> None:
    """Problem details (RFC 9457)."""
    code = more.pop("code", f"H{int(status)}")
    content = {"type": f"urn:objectkernel:error:{code}", "title": status.phrase, "status": int(status)}
    content |= {"detail": detail, "code": code, **{name: value for name, value in more.items() if value}}
    body = json.dumps(content).encode()
    await send_answer(send, scope, status, "application/problem+json", body, {**NO_STORE, **headers})


async def send_answer(
    send: Send, scope: Scope, status: HTTPStatus, kind: str, content: bytes, headers: Mapping[str, str]
) -> None:
    told = {} if status == HTTPStatus.NO_CONTENT else {"Content-Type": kind, "Content-Length": str(len(content))}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in {**told, **headers}.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": raw})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


async def live(receive: Receive, send: Send) -> None:
    """A lifespan in which nothing happens: the kernel has one of its own."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


def _split(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)
