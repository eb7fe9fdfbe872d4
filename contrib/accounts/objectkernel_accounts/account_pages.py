"""``/account``: what somebody sees and changes about themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form
from objectkernel_contracts import Principal, public, raises
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from objectkernel_accounts.connection import client_of, forget_session, keep_session
from objectkernel_accounts.errors import (
    AccountMissing,
    AccountsError,
    AccountStateInvalid,
    FormExpired,
    NameInvalid,
    PasswordRefused,
    SignedOut,
    SignInBusy,
    SignInFailed,
    TooManyAttempts,
    UserMissing,
)
from objectkernel_accounts.forms import ChangePasswordForm, EndForm, NameForm, SwitchForm
from objectkernel_accounts.forms import Form as PlainForm
from objectkernel_accounts.identity import SIGN_IN_PATH
from objectkernel_accounts.page_routes import page_route
from objectkernel_accounts.pages import SENT_ON, Pages, go
from objectkernel_accounts.parts import Parts
from objectkernel_accounts.password_rules import refused
from objectkernel_accounts.sessions import Session

PATH: Final = "/account"


def account_router(parts: Parts, pages: Pages) -> APIRouter:
    """The page of whoever is signed in, and its forms.

    A browser without a session is sent to sign in, not refused: so the routes are public to the host.
    """
    router = APIRouter(
        prefix=PATH, tags=["own account"], default_response_class=HTMLResponse, route_class=page_route(pages)
    )

    async def about(session: Session) -> dict[str, Any]:
        return {
            "session": session,
            "memberships": await parts.accounts.memberships(session.user.id),
            "sessions": await parts.sessions.of(session.user.id),
        }

    async def change(request: Request, form: PlainForm, act: Callable[[Session], Awaitable[Response]]) -> Response:
        """Take a form of the page, or show the page again with what was wrong."""
        values: dict[str, Any] = {}
        try:
            session = await pages.signed_in(request)
            values = await about(session)
            pages.expect_own_form(request, form.csrf, session)
            return await act(session)
        except AccountsError as error:
            return pages.failed(request, error, "account", **values)

    @router.get("", summary="The page about oneself")
    @public()
    @raises(SignedOut)
    async def page(request: Request) -> Response:
        try:
            session = await pages.signed_in(request)
        except AccountsError as error:
            return pages.failed(request, error, "account")
        return pages.show(request, "account", **await about(session))

    @router.post("/name", summary="Change one's own name", **SENT_ON)
    @public()
    @raises(SignedOut, FormExpired, NameInvalid)
    async def name(request: Request, form: Annotated[NameForm, Form()]) -> Response:
        async def act(session: Session) -> Response:
            by = Principal(account_id=session.account.id, user_id=session.user.id)
            await parts.people.rename(session.user.id, form.name, by=by)
            return go(request, PATH, done="name_saved")

        return await change(request, form, act)

    @router.post("/password", summary="Change one's own password; other sessions end", **SENT_ON)
    @public()
    @raises(SignedOut, FormExpired, PasswordRefused, SignInFailed, TooManyAttempts, SignInBusy)
    async def password(request: Request, form: Annotated[ChangePasswordForm, Form()]) -> Response:
        async def act(session: Session) -> Response:
            if form.password != form.again:
                raise refused("differs")
            current, new = form.current.get_secret_value(), form.password.get_secret_value()
            started = await parts.sign_in.change_password(session, current, new, client_of(request))
            response = go(request, PATH, done="password_changed")
            keep_session(request, response, started)
            return response

        return await change(request, form, act)

    @router.post("/switch", summary="Go on in another account of one's own", **SENT_ON)
    @public()
    @raises(SignedOut, FormExpired, UserMissing, AccountStateInvalid, AccountMissing)
    async def switch(request: Request, form: Annotated[SwitchForm, Form()]) -> Response:
        async def act(session: Session) -> Response:
            started = await parts.sign_in.switch(session, form.account, client_of(request))
            response = go(request, PATH)
            keep_session(request, response, started)
            return response

        return await change(request, form, act)

    @router.post("/sessions/end", summary="End one of one's own sessions", **SENT_ON)
    @public()
    @raises(SignedOut, FormExpired)
    async def end(request: Request, form: Annotated[EndForm, Form()]) -> Response:
        async def act(session: Session) -> Response:
            await parts.sign_in.end(session, form.session)
            return go(request, PATH, done="session_ended")

        return await change(request, form, act)

    @router.post("/sign-out-everywhere", summary="End all of one's own sessions", **SENT_ON)
    @public()
    @raises(SignedOut, FormExpired)
    async def everywhere(request: Request, form: Annotated[PlainForm, Form()]) -> Response:
        async def act(session: Session) -> Response:
            await parts.sign_in.sign_out_everywhere(session)
            response = go(request, SIGN_IN_PATH, done="signed_out")
            forget_session(request, response)
            return response

        return await change(request, form, act)

    return router
