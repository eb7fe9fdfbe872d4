"""Applications of plugins, of any framework, each below a path of the host and behind its guard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast
from urllib.parse import quote

import attrs
from objectkernel.errors import KernelError
from objectkernel_contracts import Access, MountedApplication
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from objectkernel_http.checks import DeclaredRoute, parameters_of
from objectkernel_http.errors import MountConflict, MountInvalid

FROM_SERVER: Final = frozenset(
    {
        "type",
        "asgi",
        "http_version",
        "method",
        "scheme",
        "path",
        "raw_path",
        "query_string",
        "root_path",
        "headers",
        "client",
        "server",
        "extensions",
        "state",
    }
)
"""What ASGI's HTTP connection scope has; the rest was left there by the host's own routing."""
OWN: Final = "objectkernel."
"""What the names of the host's own entries of a scope begin with."""
OURS: Final = ("principal", "request_id")
"""What the host says of a request in its state, whatever the application has put there itself."""


@attrs.frozen(kw_only=True)
class DeclaredMount:
    """An application that may be served.

    Attributes:
        path: without the host's prefix.
        access: who may send it anything at all.
        where: ``file:line`` of its contribution.
    """

    app: ASGIApp
    path: str
    access: Access
    where: str


class MountRoute(Mount):
    """The route of a mounted application. WebSockets are refused: nobody could keep access and limits of them."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for it."""
        return super().matches(scope) if scope["type"] == "http" else (Match.NONE, {})


def made_mount(mounted: MountedApplication, where: str) -> DeclaredMount:
    """The application that a plugin contributes at ``file:line``.

    Raises:
        MountInvalid: making it raised, or gave something else; or nobody could be admitted to it.
    """
    try:
        app: Any = mounted.make()
    except (Exception, SystemExit) as error:
        broken = _invalid(
            mounted.path,
            where,
            f"making the application for {mounted.path} raised {type(error).__name__}: {error}",
            "a plugin contributes it to the extension 'mounts'",
            "correct the function; the log has its traceback",
        )
        raise broken from error
    if not callable(app):
        raise _invalid(
            mounted.path,
            where,
            f"what should make the application for {mounted.path} gave {type(app).__name__}",
            "items of the extension 'mounts' have functions that return an ASGI application",
            "return one, or give the function and not its result",
        )
    for parameter in sorted(parameters_of(mounted.access)):
        raise _invalid(
            mounted.path,
            where,
            f"the scope of {mounted.path} names {{{parameter}}}",
            "the path of a mounted application has no parameters: nobody could ever have such a scope",
            "name scopes as they are granted",
        )
    return DeclaredMount(app=cast(ASGIApp, app), path=mounted.path, access=mounted.access, where=where)


def _invalid(path: str, where: str, what: str, why: str, fix: str) -> KernelError:
    return MountInvalid(what, where=where, why=why, fix=fix, path=path)


class Mounted:
    """An application as if a server had called it: nothing in its scope is of another framework.

    Attributes:
        state: what its lifespan has put there; its requests find it in theirs.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Refusable(receive, send)
        try:
            await self.app(self._scope_of(scope), exchange.receive, exchange.send)
        except Exception:
            if exchange.refusal is None:
                raise
        if exchange.refusal is not None:
            raise exchange.refusal

    def _scope_of(self, scope: Scope) -> Scope:
        own = {name: value for name, value in scope.items() if name in FROM_SERVER or name.startswith(OWN)}
        outer = own["root_path"].removesuffix(self._path)
        if not own["path"].startswith(own["root_path"]):  # a server that tells root_path and leaves it out of path
            own["path"] = outer + own["path"]
            if own.get("raw_path"):
                own["raw_path"] = quote(outer).encode() + own["raw_path"]
        told = scope["state"]
        own["state"] = {**told, **self.state, **{name: told[name] for name in OURS if name in told}}
        return own


class _Refusable:
    """A request that the host may refuse while the application reads it: the application is told that its sender went
    away, which every framework understands, and the host answers.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self.refusal: HTTPException | None = None
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        if self.refusal is None:
            try:
                return await self._receive()
            except HTTPException as refusal:
                self.refusal = refusal
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.refusal is None:
            await self._send(message)


@attrs.frozen(kw_only=True)
class Taken:
    """A path that somebody has.

    Attributes:
        by: in words.
        whole: with all that is below it.
    """

    path: str
    by: str
    whole: bool = False

    def clashes(self, mounted: str) -> bool:
        """Whether an application at a path would hide it, or be hidden by it."""
        return _within(self.path, mounted) or (self.whole and _within(mounted, self.path))


def mount_conflicts(
    mounts: Iterable[DeclaredMount], routes: Iterable[DeclaredRoute], others: Iterable[Taken], prefix: str
) -> Iterator[KernelError]:
    """Applications whose paths belong to somebody else too.

    Args:
        others: what the application that they are mounted in has itself.
        prefix: what mounts and routes have there before their paths.
    """
    taken = [Taken(path=prefix + one.path, by=f"the route at {one.where}") for one in routes]
    taken += others
    for mount in mounts:
        path = prefix + mount.path
        for other in taken:
            if other.clashes(path):
                yield MountConflict(
                    f"an application is mounted at {path}, and {other.by} has {other.path}",
                    where=mount.where,
                    why="what is below a path goes to one of the two, and the other one would never see it",
                    fix="give one of them another path",
                    path=path,
                )
        taken.append(Taken(path=path, by=f"the application at {mount.where}", whole=True))


def _within(path: str, above: str) -> bool:
    return path == above or path.startswith(f"{above}/")
