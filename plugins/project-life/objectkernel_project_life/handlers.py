"""`create_project_handlers`: the routes over projects as ASGI applications, for hosts of any framework or of none."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

import attrs
from objectkernel.errors import KernelError
from objectkernel_contracts import Principal
from pydantic import BaseModel

from objectkernel_project_life import http_models as models
from objectkernel_project_life.actions import READ, WRITE, ProjectActions, expect_kept, headers_of
from objectkernel_project_life.asgi import (
    Asked,
    Receive,
    Refused,
    Scope,
    Send,
    base_of,
    live,
    parts_of,
    send_answer,
    send_error,
    send_problem,
)
from objectkernel_project_life.contracts import Projects

PrincipalOf: TypeAlias = Callable[[Scope], Principal | Awaitable[Principal | None] | None]
"""Tells from an ASGI scope whose request it is; None: nobody's who is known."""


Answer: TypeAlias = BaseModel | None
Action: TypeAlias = Callable[[ProjectActions, Asked], Awaitable[Answer]]


class ProjectHandler:
    """One route, as an ASGI 3 application."""

    def __init__(
        self,
        actions: ProjectActions,
        principal_of: PrincipalOf,
        action: Action,
        methods: tuple[str, ...],
        *,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        self.methods = methods
        self._actions = actions
        self._principal_of = principal_of
        self._action = action
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("a handler of projects answers requests of HTTP alone")
        try:
            asked = Asked(scope, receive, await self._admitted(scope), base_of(scope))
            answer = await self._action(self._actions, asked)
            created = asked.base if self._status == HTTPStatus.CREATED else None
            content = b"" if answer is None else answer.model_dump_json(by_alias=True).encode()
            status = HTTPStatus.NO_CONTENT if answer is None else self._status
            await send_answer(send, scope, status, "application/json", content, headers_of(answer, created))
        except Refused as refused:
            await send_problem(send, scope, refused.status, refused.detail, refused.headers, **refused.more)
        except KernelError as error:
            await send_error(send, scope, error)

    async def _admitted(self, scope: Scope) -> Principal:
        if scope["method"] not in self.methods:
            raise Refused(
                HTTPStatus.METHOD_NOT_ALLOWED, "another method is expected here", {"Allow": ", ".join(self.methods)}
            )
        found = self._principal_of(scope)
        principal = await found if inspect.isawaitable(found) else found
        if principal is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "this needs a credential", {"WWW-Authenticate": "Bearer"})
        needed = READ if "GET" in self.methods else WRITE
        if needed not in principal.scopes:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"this needs the scope {needed}",
                {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
            )
        return principal


@attrs.frozen
class ProjectHandlers:
    """The routes: each is an ASGI application, and so are all of them together.

    All together go by the path: what is behind its last part ``projects``, or behind where they are mounted. Starlette
    and FastAPI redirect the very path of a mount, so there mount them at ``/api`` and not at ``/api/projects``.

    An application for one project takes its id from the path parameter ``id`` (or ``project_id``) that the host's
    router has left in the scope, else from the path: its last part, or the one before ``pause`` and ``resume``.
    """

    list: ProjectHandler
    create: ProjectHandler
    show: ProjectHandler
    update: ProjectHandler
    delete: ProjectHandler
    pause: ProjectHandler
    resume: ProjectHandler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        handlers = self._handlers_at(parts_of(scope))
        if not handlers:
            await send_problem(send, scope, HTTPStatus.NOT_FOUND, "there is nothing at this path", {})
            return
        fitting = [one for one in handlers if scope["method"] in one.methods]
        if not fitting:
            allowed = ", ".join(method for one in handlers for method in one.methods)
            await send_problem(
                send, scope, HTTPStatus.METHOD_NOT_ALLOWED, "another method is expected here", {"Allow": allowed}
            )
            return
        await fitting[0](scope, receive, send)

    def _handlers_at(self, parts: tuple[str, ...]) -> tuple[ProjectHandler, ...]:
        match parts:
            case ():
                return self.list, self.create
            case (_,):
                return self.show, self.update, self.delete
            case (_, "pause"):
                return (self.pause,)
            case (_, "resume"):
                return (self.resume,)
            case _:
                return ()


def create_project_handlers(projects: Projects, principal_of: PrincipalOf) -> ProjectHandlers:
    """The routes over projects for a host of its own: list, create, show, update, delete, pause, resume.

    Args:
        projects: the register: `PROJECTS`.
        principal_of: tells whose a request is. The account is its `account_id`, never what the request says; it needs
            the scope ``projects:read``, or ``projects:write`` to change something. A host that knows people by cookies
            refuses requests of foreign pages itself.
    """
    actions = ProjectActions(projects)

    def made(action: Action, *methods: str, status: HTTPStatus = HTTPStatus.OK) -> ProjectHandler:
        return ProjectHandler(actions, principal_of, action, methods, status=status)

    return ProjectHandlers(
        list=made(_list, "GET", "HEAD"),
        create=made(_create, "POST", status=HTTPStatus.CREATED),
        show=made(_show, "GET", "HEAD"),
        update=made(_update, "PATCH"),
        delete=made(_delete, "DELETE"),
        pause=made(_pause, "POST"),
        resume=made(_resume, "POST"),
    )


async def _list(actions: ProjectActions, asked: Asked) -> Answer:
    return await actions.list(asked.principal, asked.query(models.ListParameters))


async def _create(actions: ProjectActions, asked: Asked) -> Answer:
    expect_kept(asked.headers)
    return await actions.create(asked.principal, await asked.body(models.NewProject))


async def _show(actions: ProjectActions, asked: Asked) -> Answer:
    return await actions.show(asked.principal, asked.id)


async def _update(actions: ProjectActions, asked: Asked) -> Answer:
    expect_kept(asked.headers, if_match=True)
    body = await asked.body(models.Changes)
    return await actions.update(asked.principal, asked.id, body, asked.headers.get("if-match"))


async def _delete(actions: ProjectActions, asked: Asked) -> Answer:
    expect_kept(asked.headers)
    await actions.delete(asked.principal, asked.id)
    return None


async def _pause(actions: ProjectActions, asked: Asked) -> Answer:
    expect_kept(asked.headers)
    return await actions.pause(asked.principal, asked.id)


async def _resume(actions: ProjectActions, asked: Asked) -> Answer:
    expect_kept(asked.headers)
    return await actions.resume(asked.principal, asked.id)


__all__ = ["PrincipalOf", "ProjectHandler", "ProjectHandlers", "create_project_handlers"]
