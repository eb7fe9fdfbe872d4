"""Every route of a kernel, asked by everybody: without a credential, without the scope, by another account, rightly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import unquote
from uuid import UUID

import attrs
import httpx
from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import IDENTITY, OPERATE, SCOPES, Access, Public
from objectkernel_contracts.access import PARAMETER
from starlette.convertors import FloatConvertor, IntegerConvertor, UUIDConvertor

from objectkernel_http.application import asgi_app, kernel_lifespan
from objectkernel_http.guard import Guard
from objectkernel_http.testing.examples import Shape, Unexampled, body_of, example_of
from objectkernel_http.testing.identity import TESTER, ScopeTokens, token

STRANGER: Final = "a-scope-that-no-route-asks-for"
OTHER: Final = "somebody-else"
SAMPLES: Final = {IntegerConvertor: "1", FloatConvertor: "1.0", UUIDConvertor: str(UUID(int=0))}
OF_ONE_ANSWER: Final = frozenset({"content-length", "date", "ratelimit", "x-request-id"})


@attrs.frozen(kw_only=True)
class Found:
    """What the path of a route leads to.

    Attributes:
        there: the parameters that lead to something of the account `TESTER`, percent-encoded.
        missing: parameters of the same kind that lead to nothing.
        body: what to send in place of the document's example.
        headers: what to send beside the credential, by method.
    """

    there: Mapping[str, str]
    missing: Mapping[str, str]
    body: Any = None
    headers: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)


Prepare: TypeAlias = Callable[[httpx.AsyncClient, str], Awaitable[Found | None]]
"""Makes, as the client's account, something that a path such as ``/books/{id}`` leads to; None: nobody owns it."""


@attrs.frozen(kw_only=True)
class Asked:
    """One row of the table.

    Attributes:
        path: as it was asked for, its parameters filled.
        shown: the scopes of the credential, or None: there was none.
        account: whose credential it was.
        expected: what must be answered; None: that the request was let in.
        status: what was answered.
        refused: the host refused the credential. A route that refuses for reasons of its own does not count.
        as_meant: for what somebody owns: whether it looked missing to another account, and did not to the owner.
    """

    method: str
    path: str
    shown: frozenset[str] | None
    account: str = TESTER
    expected: HTTPStatus | None
    status: int
    refused: bool
    as_meant: bool | None = None

    @property
    def right(self) -> bool:
        """Whether exactly the right one was let in, and found only what is its own."""
        if self.as_meant is not None:
            return self.as_meant and not self.refused
        return not self.refused if self.expected is None else self.refused and self.status == self.expected


async def access_table(kernel: ObjectKernel, prepare: Prepare | None = None) -> tuple[Asked, ...]:
    """Boot a kernel, ask each of its routes for everything that `requires` and `public` promise, and stop it.

    Its `IDENTITY` is a `ScopeTokens`. What a route answers to those that are let in is its own affair.
    ``assert all(row.right for row in await access_table(kernel))``

    Args:
        prepare: with it, each path that has parameters is asked by another account too, which has every scope that an
            account gives, with the body that the document has as an example: to whoever is not the owner, what is
            there must look like what is not, and to the owner it must not.
    """
    app = asgi_app(kernel.provide(IDENTITY, ScopeTokens()))
    async with kernel_lifespan(kernel)(app), _client(app) as client:
        rows = [await _ask(client, *case) for case in _cases(app)]
        if prepare is not None:
            for case in _owned(app, operators_scopes(kernel)):
                rows += await _ask_for_owned(app, prepare, *case)
    return tuple(rows)


def operators_scopes(kernel: ObjectKernel) -> frozenset[str]:
    """The scopes that no account gives: only those who run the host have them."""
    return frozenset({OPERATE, *(one.name for one in kernel.contributions(SCOPES) if one.role == "operator")})


def _client(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=transport, base_url="http://host.test", headers=headers)


def _guarded(app: FastAPI) -> Iterator[tuple[RouteContext, Access]]:
    for context in iter_route_contexts(app.router.routes):
        guard = vars(context.original_route).get("handle")
        if isinstance(guard, Guard):
            yield context, guard.access


def _cases(app: FastAPI) -> Iterator[tuple[str, str, frozenset[str] | None, HTTPStatus | None]]:
    guarded = list(_guarded(app))
    every = _named(access for _, access in guarded)
    for context, access in guarded:
        sample = _sample(context)
        path = (context.path_format or "").format_map(sample)
        for method in sorted(context.methods or {"GET"}):  # an application that is mounted takes any
            for shown, expected in _shown(access, sample, every):
                yield method, path, shown, expected


def _named(accesses: Iterable[Access]) -> frozenset[str]:
    """All scopes that are asked for, but for those of one thing alone."""
    return frozenset(
        name for access in accesses if not isinstance(access, Public) for name in access.any_of if "{" not in name
    )


def _shown(
    access: Access, sample: Mapping[str, str], every: frozenset[str]
) -> Iterator[tuple[frozenset[str] | None, HTTPStatus | None]]:
    if isinstance(access, Public):
        yield None, None
        return
    yield None, HTTPStatus.UNAUTHORIZED
    if access.any_of:
        yield every - {*access.any_of} | {STRANGER}, HTTPStatus.FORBIDDEN
    for name in access.any_of or (STRANGER,):
        yield frozenset({_filled(name, sample)}), None


def _filled(name: str, sample: Mapping[str, str]) -> str:
    return PARAMETER.sub(lambda found: sample[found[1]], name)


def _sample(context: RouteContext) -> dict[str, str]:
    return {name: SAMPLES.get(type(kind), "x") for name, kind in context.param_convertors.items()}


async def _ask(
    client: httpx.AsyncClient, method: str, path: str, shown: frozenset[str] | None, expected: HTTPStatus | None
) -> Asked:
    headers = {} if shown is None else {"Authorization": f"Bearer {' '.join(sorted(shown))}"}
    answer = await client.request(method, path, headers=headers)
    return Asked(
        method=method,
        path=path,
        shown=shown,
        expected=expected,
        status=int(answer.status_code),
        refused="www-authenticate" in answer.headers,
    )


def _owned(app: FastAPI, operators: frozenset[str]) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Each method of each closed path that has parameters, with every scope that an account gives."""
    closed = [(context, access) for context, access in _guarded(app) if not isinstance(access, Public)]
    scopes = _named(access for _, access in closed) - operators
    for context, access in closed:
        if context.param_convertors and not (access.any_of and operators.issuperset(access.any_of)):
            for method in sorted(context.methods or ()):
                yield method, context.path_format or "", scopes


async def _ask_for_owned(
    app: FastAPI, prepare: Prepare, method: str, path: str, scopes: frozenset[str]
) -> tuple[Asked, ...]:
    """What another account, and then the owner, is told of something, compared with what they are told of nothing."""
    rows = []
    for account, alike in ((OTHER, True), (TESTER, False)):
        async with _client(app, token(*scopes)) as owner:
            found = await prepare(owner, path)
        if found is None:
            return ()
        sent = _example_request(app.openapi(), path, method)
        sent |= {"headers": found.headers.get(method, {}), **({} if found.body is None else {"json": found.body})}
        async with _client(app, token(*scopes, account=account)) as client:
            missing = await client.request(method, path.format_map(found.missing), **sent)
            there = await client.request(method, path.format_map(found.there), **sent)
        rows.append(
            Asked(
                method=method,
                path=path.format_map(found.there),
                shown=scopes,
                account=account,
                expected=None,
                status=int(there.status_code),
                refused="www-authenticate" in there.headers,
                as_meant=(_told(there, found.there) == _told(missing, found.missing)) == alike,
            )
        )
    return tuple(rows)


def _example_request(document: Shape, path: str, method: str) -> dict[str, Any]:
    """The body and the query that the document has as an example, for httpx; nothing where it has none."""
    operation = document["paths"].get(path, {}).get(method.lower(), {})
    wanted = [one for one in operation.get("parameters", ()) if one["in"] == "query" and one.get("required")]
    try:
        query = {one["name"]: example_of(one, document) for one in wanted}
        return {"json": body_of(operation, document), "params": query}
    except Unexampled:
        return {}


def _told(answer: httpx.Response, parameters: Mapping[str, str]) -> tuple[int, dict[str, str], str]:
    """An answer without what every answer, and every path, has of its own."""
    headers = {name: value for name, value in answer.headers.items() if name not in OF_ONE_ANSWER}
    text = answer.text.replace(answer.headers.get("x-request-id", "-"), "")
    for value in parameters.values():
        text = text.replace(unquote(value), "")
    return answer.status_code, headers, text
