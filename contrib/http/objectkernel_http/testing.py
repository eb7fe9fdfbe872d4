"""For tests: every route of a kernel, asked without a credential, without the scope, and with it."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final
from uuid import UUID

import attrs
import httpx
from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import IDENTITY, Access, Credentials, Principal, Public
from objectkernel_contracts.access import PARAMETER
from starlette.convertors import FloatConvertor, IntegerConvertor, UUIDConvertor

from objectkernel_http.application import asgi_app, kernel_lifespan
from objectkernel_http.guard import Guard

STRANGER: Final = "a-scope-that-no-route-asks-for"
SAMPLES: Final = {IntegerConvertor: "1", FloatConvertor: "1.0", UUIDConvertor: str(UUID(int=0))}


@attrs.frozen(kw_only=True)
class Asked:
    """One row of the table.

    Attributes:
        path: as it was asked for, its parameters filled.
        shown: the scopes of the credential, or None: there was none.
        expected: what must be answered; None: that the request was let in.
        status: what was answered.
        refused: the host refused the credential. A route that refuses for reasons of its own does not count.
    """

    method: str
    path: str
    shown: frozenset[str] | None
    expected: HTTPStatus | None
    status: int
    refused: bool

    @property
    def right(self) -> bool:
        """Whether exactly the right one was let in."""
        return not self.refused if self.expected is None else self.refused and self.status == self.expected


class ScopeTokens:
    """An identity whose tokens are the scopes that they have been granted, with spaces between."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        """Whoever shows a token, whose account is ``tester``."""
        if credentials.bearer is None:
            return None
        return Principal(account_id="tester", scopes=credentials.bearer.split())

    def sign_in_url(self, return_to: str) -> str:
        """Nowhere in particular."""
        return f"/?return_to={return_to}"


async def access_table(kernel: ObjectKernel) -> tuple[Asked, ...]:
    """Boot a kernel, ask each of its routes for everything that `requires` and `public` promise, and stop it.

    Its `IDENTITY` is a `ScopeTokens`. Requests have no body; what a route answers to those that are let in is its own
    affair. ``assert all(row.right for row in await access_table(kernel))``
    """
    app = asgi_app(kernel.provide(IDENTITY, ScopeTokens()))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        kernel_lifespan(kernel)(app),
        httpx.AsyncClient(transport=transport, base_url="http://host.test") as client,
    ):
        return tuple([await _ask(client, *case) for case in _cases(app)])


def _cases(app: FastAPI) -> Iterator[tuple[str, str, frozenset[str] | None, HTTPStatus | None]]:
    for context in iter_route_contexts(app.router.routes):
        guard = vars(context.original_route).get("handle")
        if isinstance(guard, Guard):
            sample = _sample(context)
            path = (context.path_format or "").format_map(sample)
            for method in sorted(context.methods or ()):
                for shown, expected in _shown(guard.access, sample):
                    yield method, path, shown, expected


def _shown(access: Access, sample: dict[str, str]) -> Iterator[tuple[frozenset[str] | None, HTTPStatus | None]]:
    if isinstance(access, Public):
        yield None, None
        return
    yield None, HTTPStatus.UNAUTHORIZED
    if access.any_of:
        yield frozenset({STRANGER}), HTTPStatus.FORBIDDEN
    for name in access.any_of or (STRANGER,):
        yield frozenset({PARAMETER.sub(lambda found: sample[found[1]], name)}), None


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
