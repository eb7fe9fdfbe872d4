"""Pages for people: filled templates, forms that only their own session can send, and errors in their language.

No page has a script, a style of its own or anything of another host; the policy says so to the browser as well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from objectkernel_contracts import GrantableScope, Identity, Keyring, Principal
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from objectkernel_device_auth.contracts import Asker
from objectkernel_device_auth.errors import DeviceAuthError, TooManyTries
from objectkernel_device_auth.form_tokens import FormTokens
from objectkernel_device_auth.page_errors import FormExpired, FormInvalid, SignedOut
from objectkernel_device_auth.texts import NOTICES, Texts, preferred

DEVICE_PATH: Final = "/device"
DEVICES_PATH: Final = "/account/devices"
STYLE_PATH: Final = f"{DEVICE_PATH}/pages.css"
OWN: Final = re.compile(rf"({DEVICE_PATH}(/requests/[^/]+|/approved|/denied)?|{DEVICES_PATH}(/[^/]+(/revoke)?)?)\Z")
"""Our paths, wherever they are served."""
LONGEST_FORM: Final = 16 * 2**10
WITHOUT_NUL: Final = r"^[^\x00]*$"
"""What ids in a path look like; a database refuses the others."""
SENT_ON: Final[Mapping[str, Any]] = {
    "status_code": HTTPStatus.SEE_OTHER,
    "response_class": RedirectResponse,
    "max_body_size": LONGEST_FORM,
}
"""Of a route that answers a form: whoever sent it is led to another page."""

NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
POLICY: Final = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
LOOPBACK: Final = re.compile(r"localhost|.*\.localhost|127(\.\d{1,3}){3}|::1|\[::1\]", re.ASCII)
LONGEST_SHOWN: Final = 200
"""Characters of what strangers say of themselves."""


class TellsWhen(HTTPException):
    """An error with its code and when to try again, for a host that reads both."""

    def __init__(self, error: TooManyTries) -> None:
        super().__init__(error.http_status, error.what, {"Retry-After": str(error.retry_after)})
        self.code = error.code


class Pages:
    """Shows the pages of one host.

    Args:
        identity: where people sign in; None: nobody can, and every page says so.
        scopes: those whose descriptions are shown in place of their names.
    """

    def __init__(self, identity: Identity | None, keyring: Keyring, scopes: Iterable[GrantableScope]) -> None:
        self._identity = identity
        self._scopes = {scope.name: scope for scope in scopes}
        self.forms = FormTokens(keyring)

    def person(self, request: Request) -> Principal:
        """Who is signed in with the browser that sends this: a key, even a person's, is nobody here.

        Raises:
            SignedOut
        """
        principal: Principal | None = getattr(request.state, "principal", None)
        if principal is None or principal.session_id is None or principal.user_id is None:
            raise SignedOut("this is for somebody who is signed in", why="there is no session", fix="sign in")
        return principal

    def show(
        self,
        request: Request,
        template: str,
        *,
        person: Principal | None = None,
        about: tuple[str, ...] = (),
        error: DeviceAuthError | None = None,
        **values: Any,
    ) -> Response:
        """A page.

        Args:
            template: its name; also of its title, where nothing went wrong or the page is shown again.
            person: whose form it has.
            about: what that form does, and to what.
            error: what went wrong with what was sent before.
        """
        texts = preferred(request.headers.get("accept-language", ""))
        notice = request.query_params.get("done")
        text = ENVIRONMENT.get_template(f"{template}.html").render(
            language=texts.language,
            words=texts.words,
            title=TITLES.get(template, template),
            root=root_of(request),
            style=f"{STYLE_PATH}?v={STYLE_DIGEST}",
            csrf="" if person is None else self.forms.make(_session(person), *about),
            problem=None if error is None else texts.problem(error),
            notice=notice if notice in NOTICES and error is None else None,
            age=_ages(texts),
            scopes_in_words=self._in_words(texts),
            **values,
        )
        response = HTMLResponse(text, HTTPStatus.OK if error is None else error.http_status, headers_for(request))
        if isinstance(error, TooManyTries):
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def expect_own_form(self, token: str, person: Principal, *about: str) -> None:
        """Refuse a form that was not made for whoever sends it, and for this.

        Raises:
            FormExpired
        """
        if not self.forms.is_good(token, _session(person), *about):
            raise FormExpired(
                "the form cannot be taken",
                why="it was made for somebody else, or for something else, or long ago",
                fix="send the one that the page shows now",
            )

    def failed(self, request: Request, error: DeviceAuthError, template: str = "message", **values: Any) -> Response:
        """The answer where something did not work: a page that says it, or for programs problem details.

        A browser that was to see a page is sent to sign in; one that has sent a form is told to, with a link: a policy
        of its page would not let the form lead to another host's sign-in.

        Args:
            template: the page that has the form again.
        """
        if not wants_page(request):
            raise TellsWhen(error) if isinstance(error, TooManyTries) else error
        if not isinstance(error, SignedOut):
            return self.show(request, template, error=error, **values)
        sign_in = self.sign_in_url(request)
        if sign_in is not None and request.method in ("GET", "HEAD"):
            return RedirectResponse(sign_in, HTTPStatus.SEE_OTHER, headers_for(request))
        return self.show(request, "message", error=error, onward=sign_in, label="sign_in")

    def sign_in_url(self, request: Request) -> str | None:
        """Where somebody signs in, to come back to the page that this request is for."""
        if self._identity is None:
            return None
        root, own = _split(request)
        return self._identity.sign_in_url(root + (DEVICES_PATH if own.startswith(DEVICES_PATH) else DEVICE_PATH))

    def _in_words(self, texts: Texts) -> Callable[[Iterable[str]], list[str]]:
        def told(names: Iterable[str]) -> list[str]:
            """A scope that no plugin describes any more, or that is of one thing alone, has its name only."""
            known = self._scopes
            return [known[name].described(texts.language) if name in known else name for name in sorted(names)]

        return told


def page_route(pages: Pages) -> type[APIRoute]:
    """The class of routes that browsers send forms to: what is not filled right is answered with a page."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def shown(request: Request) -> Response:
                try:
                    return await handle(request)
                except RequestValidationError:
                    if not wants_page(request):
                        raise
                    error = FormInvalid("the form is not filled as it should be", fix="send the one of the page")
                    return pages.show(request, "message", error=error, onward=None, label="")

            return shown

    return PageRoute


def wants_page(request: Request) -> bool:
    """Whether a request is a browser's, which takes HTML before anything else."""
    return "text/html" in request.headers.get("accept", "")


def go(request: Request, path: str, *, done: str | None = None) -> Response:
    """Send a browser on to a page of ours after what it has sent."""
    query = f"?{urlencode({'done': done})}" if done else ""
    return RedirectResponse(f"{root_of(request)}{path}{query}", HTTPStatus.SEE_OTHER, headers_for(request))


def root_of(request: Request) -> str:
    """What stands before our paths where the host is reached: of a proxy, a mount, or an application's prefix."""
    return _split(request)[0]


def asker_of(request: Request) -> Asker:
    """Where a request comes from."""
    return Asker(address=request.client.host if request.client else None, user_agent=request.headers.get("user-agent"))


def headers_for(request: Request) -> dict[str, str]:
    """What goes with every page.

    Without a referrer browsers send ``Origin: null`` with a form, and where they deem the connection insecure no
    ``Sec-Fetch-Site`` either: nothing would be left to tell our own form by. There the origin is told to us alone.
    """
    is_trusted = request.url.scheme == "https" or LOOPBACK.fullmatch(request.url.hostname or "") is not None
    return {
        **NO_STORE,
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer" if is_trusted else "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def _split(request: Request) -> tuple[str, str]:
    """The path of a request: what stands before ours, and ours."""
    path: str = request.scope["path"]
    own = OWN.search(path)
    assert own is not None, "only our routes ask"
    return path[: own.start()], own[0]


def plain(text: str | None) -> str:
    """What a stranger says of themselves, without what could look like something else."""
    return "".join(filter(str.isprintable, text or ""))[:LONGEST_SHOWN]


def _session(person: Principal) -> str:
    assert person.session_id is not None, "`person` gives no others"
    return person.session_id


def _ages(texts: Texts) -> Callable[[datetime], str]:
    now = datetime.now(UTC)
    return lambda moment: texts.age(moment, now)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("objectkernel_device_auth"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["plain"] = plain
    return made


ENVIRONMENT: Final = _environment()
STYLE: Final = ENVIRONMENT.get_template("pages.css").render()
STYLE_DIGEST: Final = hashlib.sha256(STYLE.encode()).hexdigest()[:12]
TITLES: Final = {"device": "connect", "decision": "decide", "revoke": "revoke_ask", "message": "problem"}
"""Of the templates that are not named like what their title says."""
