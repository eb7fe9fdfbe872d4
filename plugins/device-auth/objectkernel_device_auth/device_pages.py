"""``/device``: somebody types the code that a device shows, sees who asks for what, and decides.

No page decides by being looked at: the code is claimed, and the claim decided, by forms of the session's own. A code
that comes with the address goes into a signed cookie at once, so that it stands in no history and no bookmark.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Path
from objectkernel_contracts import Principal, public, raises
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from objectkernel_device_auth.contracts import DeviceAuth, PendingRequest
from objectkernel_device_auth.errors import DeviceAuthError, InvalidRequest, TooManyTries
from objectkernel_device_auth.form_tokens import CODE_LASTS
from objectkernel_device_auth.page_errors import CodeUnusable, FormExpired, SignedOut
from objectkernel_device_auth.pages_shared import (
    DEVICE_PATH,
    SENT_ON,
    STYLE,
    STYLE_PATH,
    WITHOUT_NUL,
    Pages,
    asker_of,
    go,
    page_route,
)

CODE_COOKIE: Final = "objectkernel-user-code"
HOST_PREFIX: Final = "__Host-"
"""A browser takes such a cookie over https alone, from this very host."""
REQUEST_PATH: Final = f"{DEVICE_PATH}/requests"

RequestId = Annotated[str, Path(max_length=200, pattern=WITHOUT_NUL, examples=["0b54a1d6-3f0b-4a50-9d4f-9d2f2d6f3b1e"])]


class CodeForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csrf: str = ""
    user_code: str = ""


class DecisionForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csrf: str = ""
    decision: Literal["denied", "approved"] = "denied"


def device_router(pages: Pages, flow: DeviceAuth) -> APIRouter:
    """The page of the device flow.

    A browser without a session is sent to sign in, not refused: so the routes are public to the host.
    """
    router = APIRouter(tags=["device flow"], default_response_class=HTMLResponse, route_class=page_route(pages))

    @router.get(DEVICE_PATH, summary="The page to enter the code of a device")
    @public()
    @raises(SignedOut)
    async def device_page(request: Request, user_code: str = "") -> Response:
        if user_code:
            return _keep_code(request, go(request, DEVICE_PATH), pages.forms.keep_code(user_code))
        try:
            person = pages.person(request)
        except DeviceAuthError as error:
            return pages.failed(request, error)
        kept = pages.forms.kept_code(request.cookies.get(_cookie_name(request), ""))
        return pages.show(request, "device", person=person, about=("claim",), user_code=kept or "")

    @router.post(DEVICE_PATH, summary="Claim the code of a device", **SENT_ON)
    @public()
    @raises(SignedOut, FormExpired, CodeUnusable, TooManyTries)
    async def claim(request: Request, form: Annotated[CodeForm, Form()]) -> Response:
        values: dict[str, Any] = {}
        try:
            person = pages.person(request)
            values = {"person": person, "about": ("claim",), "user_code": ""}
            pages.expect_own_form(form.csrf, person, "claim")
            found = await flow.claim(form.user_code, person, asker=asker_of(request))
            if found is None:
                raise CodeUnusable
        except CodeUnusable as error:
            return _keep_code(request, pages.failed(request, error, "device", **values), None)
        except DeviceAuthError as error:
            return pages.failed(request, error, "device", **values)
        return _keep_code(request, go(request, f"{REQUEST_PATH}/{found.id}"), None)

    @router.get(f"{REQUEST_PATH}/{{request_id}}", summary="The page to decide on a device")
    @public()
    @raises(SignedOut, CodeUnusable)
    async def decision_page(request: Request, request_id: RequestId) -> Response:
        try:
            person = pages.person(request)
        except DeviceAuthError as error:
            return pages.failed(request, error)
        found = await flow.pending(request_id, person)
        if found is None:
            return unusable(request, person)
        return pages.show(request, "decision", person=person, about=("decide", request_id), asked=found)

    def unusable(request: Request, person: Principal) -> Response:
        """What is told of every code that is no good, and of every request that this session may not decide."""
        return pages.failed(request, CodeUnusable(), "device", person=person, about=("claim",), user_code="")

    @router.post(f"{REQUEST_PATH}/{{request_id}}", summary="Approve or deny a device", **SENT_ON)
    @public()
    @raises(SignedOut, FormExpired, CodeUnusable, InvalidRequest)
    async def decide(request: Request, request_id: RequestId, form: Annotated[DecisionForm, Form()]) -> Response:
        try:
            person = pages.person(request)
        except DeviceAuthError as error:
            return pages.failed(request, error)
        found = await flow.pending(request_id, person)
        if found is None:
            return unusable(request, person)
        about = ("decide", request_id)
        try:
            pages.expect_own_form(form.csrf, person, *about)
            won = await flow.decide(request_id, form.decision, person, name=_name(found))
        except DeviceAuthError as error:
            return pages.failed(request, error, "decision", person=person, about=about, asked=found)
        if not won:
            return unusable(request, person)
        return go(request, f"{DEVICE_PATH}/{form.decision}")

    for outcome in ("approved", "denied"):
        _add_outcome(router, pages, outcome)

    @router.get(STYLE_PATH, summary="How the pages look", include_in_schema=False)
    @public()
    async def style() -> Response:
        return Response(STYLE, headers={"Cache-Control": "public, max-age=86400"}, media_type="text/css")

    return router


def _add_outcome(router: APIRouter, pages: Pages, outcome: str) -> None:
    @router.get(f"{DEVICE_PATH}/{outcome}", summary=f"The page after a device was {outcome}", name=outcome)
    @public()
    async def page(request: Request) -> Response:
        return pages.show(request, outcome)


def _name(asked: PendingRequest) -> str:
    """What the device is called in the list of one's devices: several may run the same program."""
    return ", ".join(filter(None, (asked.client.name, asked.asker.address)))


def _keep_code(request: Request, response: Response, value: str | None) -> Response:
    """Let the browser keep a code until it is sent, or forget the one that it has."""
    name = _cookie_name(request)
    if value is not None or name in request.cookies:
        response.set_cookie(
            name,
            value or "",
            max_age=0 if value is None else int(CODE_LASTS.total_seconds()),
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
    return response


def _cookie_name(request: Request) -> str:
    return f"{HOST_PREFIX if request.url.scheme == 'https' else ''}{CODE_COOKIE}"
