"""How the routes read a request and tell what is wrong with it: a package's own JSON reader, problem details."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_package_service.contracts import PackageInvalid, Problem
from objectkernel_package_service.json_value import problems, read_json

PROBLEM: Final = "application/problem+json"
PRECONDITIONS: Final = ("if-match", "if-none-match", "if-unmodified-since")
SAFE: Final = frozenset({"GET", "HEAD"})

_STEP: Final = re.compile(r'\.([A-Za-z_][A-Za-z0-9_-]*\u2026?)|\[([0-9]+)\]|\[("(?:[^"\\]|\\.)*")\]')


class Refused(HTTPException):
    """A body that is refused: how an error gets through FastAPI's reading of it."""

    def __init__(self, error: PackageInvalid) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY)
        self.error = error


class PackageRequest(Request):
    """A request whose JSON is read as a package is: no name twice, no number or text that others read differently."""

    async def json(self) -> Any:
        """The body's JSON value."""
        try:
            value = read_json(await self.body())
            if found := problems(value):
                raise PackageInvalid("the body is refused", found, fix="correct every place named above")
        except PackageInvalid as error:
            raise Refused(error) from None
        return value


class PackageRoute(APIRoute):
    """A route that tells every problem of a request with its place."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            _expect_kept(request)
            _expect_once(request)
            try:
                return await inner(PackageRequest(request.scope, request.receive))
            except PackageInvalid as error:
                return problem_response(error, request)
            except Refused as refused:
                return problem_response(refused.error, request)

        return handle


def _expect_kept(request: Request) -> None:
    """Refuse a condition that the sender relies on and that would be passed over (RFC 9110, section 13.1).

    Raises:
        RequestValidationError
    """
    if request.method in SAFE:
        return
    unmet = [name for name in PRECONDITIONS if name in request.headers]
    if unmet:
        what = "the route does not keep to it"
        raise RequestValidationError([{"loc": ("header", name), "msg": what, "type": "precondition"} for name in unmet])


def _expect_once(request: Request) -> None:
    """Refuse a parameter that is given twice, of which one would be passed over.

    Raises:
        RequestValidationError
    """
    given = Counter(name for name, _ in request.query_params.multi_items())
    if twice := [name for name, count in given.items() if count > 1]:
        what = "it is given more than once"
        raise RequestValidationError([{"loc": ("query", name), "msg": what, "type": "repeated"} for name in twice])


def expect_json(request: Request) -> None:
    """Refuse a body that does not say it is JSON: a browser sends any other kind for a page of somebody else's.

    Raises:
        HTTPException: 415.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a package is sent as application/json")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a package is sent as it is, without a content coding")


def problem_response(error: PackageInvalid, request: Request) -> Response:
    """Everything that is wrong with a request, as problem details (RFC 9457) with a JSON Pointer for each place."""
    content = {
        "type": f"urn:objectkernel:error:{error.code}",
        "title": HTTPStatus.UNPROCESSABLE_ENTITY.phrase,
        "status": int(HTTPStatus.UNPROCESSABLE_ENTITY),
        "detail": error.what,
        "code": error.code,
        "fix": error.fix,
        "errors": [_placed(one, request) for one in error.problems],
    }
    return Response(json.dumps(content).encode(), HTTPStatus.UNPROCESSABLE_ENTITY, media_type=PROBLEM)


def _placed(problem: Problem, request: Request) -> dict[str, str]:
    if problem.path.startswith("$"):
        return {"in": "body", "at": pointer(problem.path), "path": problem.path, "detail": problem.what}
    places = {"path": request.path_params, "query": request.query_params}
    place = next((name for name, given in places.items() if problem.path in given), "body")
    return {"in": place, "at": f"/{problem.path}", "path": problem.path, "detail": problem.what}


def pointer(path: str) -> str:
    """The JSON Pointer (RFC 6901) of a place: ``/metadata/objects/3`` for ``$.metadata.objects[3]``."""
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in _steps(path))


def _steps(path: str) -> Iterator[str]:
    for step in _STEP.finditer(path):
        yield step[1] or step[2] or json.loads(step[3])
