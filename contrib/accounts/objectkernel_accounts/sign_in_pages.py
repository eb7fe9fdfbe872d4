"""``/sign-in`` and ``/sign-out``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from objectkernel_contracts import public, raises
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from objectkernel_accounts.connection import (
    DEVICE_COOKIE,
    client_of,
    cookie,
    expect_secure,
    forget_session,
    keep_device,
    keep_session,
)
from objectkernel_accounts.errors import (
    AccountsError,
    ConnectionInsecure,
    FormExpired,
    SignInBusy,
    SignInFailed,
    TooManyAttempts,
)
from objectkernel_accounts.forms import Form as PlainForm
from objectkernel_accounts.forms import SignInForm
from objectkernel_accounts.identity import SIGN_IN_PATH
from objectkernel_accounts.page_routes import page_route
from objectkernel_accounts.pages import SENT_ON, Pages, go, go_local, to_sign_in
from objectkernel_accounts.parts import Parts


def sign_in_router(parts: Parts, pages: Pages) -> APIRouter:
    """The pages with which people come and go."""
    router = APIRouter(tags=["sign-in"], default_response_class=HTMLResponse, route_class=page_route(pages))

    @router.get(SIGN_IN_PATH, summary="The page to sign in")
    @public()
    async def sign_in_page(request: Request, return_to: str = "") -> Response:
        if await pages.session(request) is not None:
            return go_local(request, return_to)
        return pages.show(request, "sign_in", return_to=return_to, login="")

    @router.post(SIGN_IN_PATH, summary="Sign in", **SENT_ON)
    @public()
    @raises(SignInFailed, TooManyAttempts, FormExpired, ConnectionInsecure, SignInBusy)
    async def sign_in(request: Request, form: Annotated[SignInForm, Form()]) -> Response:
        try:
            expect_secure(request, plain_http=parts.config.plain_http)
            pages.expect_own_form(request, form.csrf)
            before = await pages.session(request)
            signed_in = await parts.sign_in.sign_in(
                form.login,
                form.password.get_secret_value(),
                client_of(request),
                device=cookie(request, DEVICE_COOKIE),
                before=None if before is None else before.id,
            )
        except AccountsError as error:
            return pages.failed(request, error, "sign_in", return_to=form.return_to, login=form.login)
        response = go_local(request, form.return_to)
        keep_session(request, response, signed_in.session)
        keep_device(request, response, signed_in)
        return response

    @router.get("/sign-out", summary="The page to sign out")
    @public()
    async def sign_out_page(request: Request) -> Response:
        session = await pages.session(request)
        return to_sign_in(request) if session is None else pages.show(request, "sign_out", session=session)

    @router.post("/sign-out", summary="Sign out", **SENT_ON)
    @public()
    @raises(FormExpired)
    async def sign_out(request: Request, form: Annotated[PlainForm, Form()]) -> Response:
        session = await pages.session(request)
        if session is not None:
            try:
                pages.expect_own_form(request, form.csrf, session)
            except AccountsError as error:
                return pages.failed(request, error, "sign_out", session=session)
            await parts.sign_in.sign_out(session)
        response = go(request, SIGN_IN_PATH, done="signed_out")
        forget_session(request, response)
        return response

    return router
