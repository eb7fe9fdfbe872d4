"""Pages for people: filled templates, forms that only their own sender can send, and errors in their language."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from objectkernel_accounts.connection import (
    VISITOR_COOKIE,
    cookie,
    forget_session,
    is_secure,
    keep_visitor,
    visitor,
)
from objectkernel_accounts.errors import AccountsError, FormExpired, SignedOut, TooManyAttempts
from objectkernel_accounts.identity import SIGN_IN_PATH, session_of
from objectkernel_accounts.parts import Parts
from objectkernel_accounts.sessions import Session
from objectkernel_accounts.texts import NOTICES, preferred

LONGEST_FORM: Final = 64 * 2**10
SENT_ON: Final[Mapping[str, Any]] = {
    "status_code": HTTPStatus.SEE_OTHER,
    "response_class": RedirectResponse,
    "max_body_size": LONGEST_FORM,
}
"""Of a route that answers a form: whoever sent it is led to another page."""

LONGEST_WAY_BACK: Final = 4000


class TellsWhen(HTTPException):
    """An error with its code and when to try again, for a host that reads both."""

    def __init__(self, error: TooManyAttempts) -> None:
        super().__init__(error.http_status, error.what, {"Retry-After": str(error.retry_after)})
        self.code = error.code


class Pages:
    """Shows the pages of one host."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def session(self, request: Request) -> Session | None:
        """Who is signed in with the browser that sends this."""
        if "authorization" in request.headers:
            return None
        return await session_of(self._parts.sessions, request.cookies, secure=is_secure(request))

    async def signed_in(self, request: Request) -> Session:
        """The same, where there has to be somebody.

        Raises:
            SignedOut
        """
        session = await self.session(request)
        if session is None:
            raise SignedOut("this is for somebody who is signed in", why="there is no session", fix="sign in")
        return session

    def show(
        self,
        request: Request,
        template: str,
        *,
        session: Session | None = None,
        error: AccountsError | None = None,
        **values: Any,
    ) -> Response:
        """A page. Its forms are bound to the session, or without one to the browser.

        Args:
            template: its name; also of its title.
            error: what went wrong with what was sent before.
        """
        texts, known_as = preferred(request.headers.get("accept-language", "")), visitor(request)
        notice = request.query_params.get("done")
        text = ENVIRONMENT.get_template(f"{template}.html").render(
            language=texts.language,
            words=texts.words,
            title="problem" if template == "message" else template,
            style=STYLE,
            root=root_of(request),
            csrf=self._parts.forms.sign(*_binding(session, known_as)),
            problems=list(texts.problems(error)) if error else [],
            notice=notice if notice in NOTICES and error is None else None,
            session=session,
            **values,
        )
        response = HTMLResponse(text, HTTPStatus.OK if error is None else error.http_status, HEADERS)
        if isinstance(error, TooManyAttempts):
            response.headers["Retry-After"] = str(error.retry_after)
        if session is None:
            keep_visitor(request, response, known_as)
        return response

    def expect_own_form(self, request: Request, token: str, session: Session | None = None) -> None:
        """Refuse a form that was not made for whoever sends it.

        Raises:
            FormExpired
        """
        known_as = cookie(request, VISITOR_COOKIE)
        if session is None and not known_as:
            _refuse("there is no cookie that it is bound to")
        if self._parts.forms.nonce_of(token, *_binding(session, known_as)) is None:
            _refuse("it was made for somebody else, or long ago")

    def failed(self, request: Request, error: AccountsError, template: str, **values: Any) -> Response:
        """The answer to a form that did not work: its page again, or for programs problem details."""
        if not wants_page(request):
            raise problem_of(error)
        if isinstance(error, SignedOut):
            return to_sign_in(request)
        if (
            error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR
            and error.http_status != HTTPStatus.SERVICE_UNAVAILABLE
        ):
            raise error
        return self.show(request, template, error=error, **values)


def wants_page(request: Request) -> bool:
    """Whether a request is a browser's, which takes HTML before anything else."""
    return "text/html" in request.headers.get("accept", "")


def problem_of(error: AccountsError) -> Exception:
    """An error as the host tells it, with the header that it has none for."""
    return TellsWhen(error) if isinstance(error, TooManyAttempts) else error


def go(request: Request, path: str, *, done: str | None = None) -> Response:
    """Send a browser on to a page of ours after what it has sent."""
    query = f"?{urlencode({'done': done})}" if done else ""
    return RedirectResponse(f"{root_of(request)}{path}{query}", HTTPStatus.SEE_OTHER, NO_STORE)


def go_local(request: Request, return_to: str) -> Response:
    """Send a browser back where it came from, which is on this host."""
    return RedirectResponse(local(return_to) or f"{root_of(request)}/account", HTTPStatus.SEE_OTHER, NO_STORE)


def to_sign_in(request: Request) -> Response:
    """Send a browser to the sign-in page, to come back to what it asked for, if that can be asked for again."""
    path = f"{root_of(request)}{SIGN_IN_PATH}"
    if request.method == "GET":
        path += "?" + urlencode({"return_to": local(request.url.path) or "/"})
    response = RedirectResponse(path, HTTPStatus.SEE_OTHER, NO_STORE)
    forget_session(request, response)
    return response


def local(return_to: str) -> str | None:
    """A path of this host; None for whatever else a browser might take it for."""
    is_path = return_to.startswith("/") and not return_to.startswith("//") and len(return_to) <= LONGEST_WAY_BACK
    return return_to if is_path and return_to.isprintable() and not {"\\", " "} & set(return_to) else None


def root_of(request: Request) -> str:
    """What stands before each path where the host is reached."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def _binding(session: Session | None, known_as: str) -> tuple[str, str]:
    return ("session", session.id) if session is not None else ("visitor", known_as)


def _refuse(why: str) -> NoReturn:
    raise FormExpired("the form cannot be taken", why=why, fix="send the one that the page shows now")


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("objectkernel_accounts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


ENVIRONMENT: Final = _environment()
STYLE: Final = Markup(ENVIRONMENT.get_template("pages.css").render())
POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
HEADERS: Final[Mapping[str, str]] = {
    **NO_STORE,
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
}
"""The path of a page may be secret: no other host is told it."""
