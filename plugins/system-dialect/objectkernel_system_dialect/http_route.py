"""How the data plane's routes read a request and tell an error: bounded bodies, problem details."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Final

import attrs
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from objectkernel.errors import ConfigError, KernelError
from objectkernel_contracts import REQUEST_ID
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from objectkernel_system_dialect.errors import DataError, IdempotencyKeyBusy, RequestInvalid, RequestTooLarge
from objectkernel_system_dialect.problems import RETRY_SECONDS, problem_of, status_of
from objectkernel_system_dialect.rest_api import PROBLEM
from objectkernel_system_dialect.wire import Unreadable, Unsendable, dump, load

LOG: Final = logging.getLogger("objectkernel.system-dialect")
PATIENCE: Final = 8
"""How many times too large a body may be for its sender to get an answer: who is not listened to cannot hear it."""
PRECONDITIONS: Final = frozenset({"if-match", "if-none-match", "if-unmodified-since"})
REPEATABLE: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE})


@attrs.frozen(kw_only=True)
class HttpLimits:
    """What one request may ask for.

    Attributes:
        page_default, page_max: rows of a page.
        rows_max: rows that one request creates, groups or values that one answer has.
        body_bytes: the longest body.
        depth: the levels of lists and objects within each other.
    """

    page_default: int = 50
    page_max: int = 1000
    rows_max: int = 10_000
    body_bytes: int = 10 * 2**20
    depth: int = 100


class Refused(HTTPException):
    """A body that is refused: how an error gets through FastAPI's reading of it. `close`: its rest is not read."""

    def __init__(self, error: KernelError, *, close: bool = False) -> None:
        super().__init__(status_of(error))
        self.error = error
        self.close = close


class BoundedRequest(Request):
    """A request whose body has an end."""

    limits: HttpLimits

    async def body(self) -> bytes:
        """The body; read once and kept. A larger one is read on for a while, so that its sender gets an answer."""
        if not hasattr(self, "_read"):
            parts, size, limit = [], 0, self.limits.body_bytes
            async for part in self.stream():
                size += len(part)
                if size <= limit:
                    parts.append(part)
                elif size > limit * PATIENCE:
                    raise Refused(too_large(limit), close=True)
            if size > limit:
                raise Refused(too_large(limit))
            self._read = b"".join(parts)
        return self._read

    async def json(self) -> Any:
        """The body's JSON value."""
        try:
            return load(await self.body(), self.limits.depth, unique=True)
        except Unreadable as error:
            raise Refused(unreadable("body", str(error))) from None


def route_class(limits: HttpLimits) -> type[APIRoute]:
    """The class of routes within these limits, which know of each other what methods a path has."""
    methods: dict[str, set[str]] = {}

    class DataRoute(APIRoute):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.own = frozenset(self.methods or ())
            methods.setdefault(self.path_format, set()).update(self.methods or ())

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] not in self.own:
                allowed = ", ".join(sorted(methods[self.path_format]))
                raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": allowed})
            await super().handle(scope, receive, send)

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                bounded = BoundedRequest(request.scope, request.receive)
                bounded.limits = limits
                try:
                    return await inner(bounded)
                except Refused as refused:
                    return problem_response(refused.error, close=refused.close)
                except RequestValidationError as invalid:
                    return problem_response(_invalid(invalid, request))
                except (DataError, ConfigError) as error:
                    return problem_response(error)

            return handle

    return DataRoute


def expect_known(request: Request, parameters: bool, held: bool) -> None:
    """Refuse what a route would pass over in silence.

    Args:
        parameters: whether the route takes some in the URL; which ones, and their values, is not looked at.
        held: whether it holds a row to ``If-Match``.

    Raises:
        RequestInvalid: a parameter comes twice, or is not expected at all; or there is another precondition (RFC 9110,
            section 13.1), which the sender relies on.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    problems = [f"query.{name}: it comes twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    problems += [] if parameters else [f"query.{name}: the route takes no parameters" for name in dict.fromkeys(names)]
    if request.method != "GET":
        unmet = PRECONDITIONS - {"if-match"} if held else PRECONDITIONS
        problems += [
            f"header.{name}: the route does not keep to it" for name in sorted(unmet) if name in request.headers
        ]
    if problems:
        raise RequestInvalid(
            "the request is not what this route takes",
            why=tuple(problems),
            fix="see /openapi.json",
            problems=tuple(problems),
        )


def problem_response(error: KernelError, *, close: bool = False) -> Response:
    """An error as an answer; one of the server's own is logged under the request's id, which the answer has."""
    status, instance = status_of(error), None
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        instance = f"urn:uuid:{REQUEST_ID.get() or uuid.uuid4()}"
        LOG.error("request %s failed: %s", instance, error)
    headers = (
        {"Retry-After": str(RETRY_SECONDS)} if status in REPEATABLE or isinstance(error, IdempotencyKeyBusy) else {}
    )
    if close:  # the rest of the body is not read
        headers["Connection"] = "close"
    return Response(_dumped(problem_of(error, instance=instance)), int(status), headers, media_type=PROBLEM)


def unreadable(what: str, why: str) -> RequestInvalid:
    """The error for a part of a request that is not the JSON it should be."""
    return RequestInvalid(f"the {what} cannot be read", why=why, fix="send a JSON object", problems=(f"{what}: {why}",))


def too_large(limit: int, unit: str = "bytes") -> RequestTooLarge:
    """The error for a body with more of something than it may have."""
    why, fix = f"it may have {limit} {unit}", "send fewer rows at a time"
    return RequestTooLarge("the body is too large", why=why, fix=fix, limit=limit)


def _dumped(problem: Mapping[str, Any]) -> bytes:
    try:
        return dump(problem)
    except (Unsendable, UnicodeEncodeError):  # a fact that JSON cannot hold, or a name that is no text
        return dump({**problem, "detail": problem["title"], "why": [], "fix": "", "where": "", "facts": {}})


def _invalid(error: RequestValidationError, request: Request) -> RequestInvalid:
    problems = tuple(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
    if any(one["loc"] == ("body",) for one in error.errors()) and not _says_json(request):
        problems = ("header.content-type: it is application/json; a body of another kind is not read", *problems)
    return RequestInvalid(
        "the request is not what this route takes", why=problems, fix="see /openapi.json", problems=problems
    )


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
