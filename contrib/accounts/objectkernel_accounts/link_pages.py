"""``/invitation/{token}`` and ``/reset/{token}``: what somebody does with a link that they were given."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Path
from objectkernel_contracts import public, raises
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from objectkernel_accounts.connection import client_of, expect_secure, keep_device, keep_session
from objectkernel_accounts.contracts import Link
from objectkernel_accounts.errors import (
    AccountsError,
    AccountStateInvalid,
    ConnectionInsecure,
    FormExpired,
    LinkInvalid,
    LoginTaken,
    NameInvalid,
    PasswordRefused,
)
from objectkernel_accounts.forms import InvitationForm, NewPasswordForm
from objectkernel_accounts.identity import SIGN_IN_PATH
from objectkernel_accounts.naming import login_key
from objectkernel_accounts.page_routes import page_route
from objectkernel_accounts.pages import SENT_ON, Pages, go, root_of
from objectkernel_accounts.parts import Parts
from objectkernel_accounts.password_rules import refused
from objectkernel_accounts.sessions import Session

CHOOSING: Final = (LinkInvalid, ConnectionInsecure, FormExpired, PasswordRefused)
JOINING: Final = (*CHOOSING, NameInvalid, LoginTaken, AccountStateInvalid)

Token = Annotated[str, Path(examples=["Yw5n0VqjJ0b1T2o8mHc4Xk7sLr3eQfD9uBzGtIaPxWM"])]


def link_router(parts: Parts, pages: Pages) -> APIRouter:
    """The pages of links. Whoever has one may use it: their routes are public."""
    router = APIRouter(tags=["links"], default_response_class=HTMLResponse, route_class=page_route(pages))

    @router.get("/invitation/{token}", summary="The page of an invitation")
    @public()
    @raises(LinkInvalid)
    async def invitation_page(request: Request, token: Token) -> Response:
        try:
            return await show_invitation(request, await parts.people.invitation(token))
        except LinkInvalid as error:
            return pages.failed(request, error, "message")

    async def show_invitation(request: Request, link: Link, error: AccountsError | None = None) -> Response:
        session = await pages.session(request)
        values = _about(request, link, session)
        if error is not None:
            return pages.failed(request, error, "invitation", session=session, **values)
        return pages.show(request, "invitation", session=session, **values)

    @router.post("/invitation/{token}", summary="Join with an invitation", **SENT_ON)
    @public()
    @raises(*JOINING)
    async def join(request: Request, token: Token, form: Annotated[InvitationForm, Form()]) -> Response:
        try:
            link = await parts.people.invitation(token)
        except LinkInvalid as error:
            return pages.failed(request, error, "message")
        session = await pages.session(request)
        try:
            expect_secure(request, plain_http=parts.config.plain_http)
            pages.expect_own_form(request, form.csrf, session)
            if session is not None and _is_for(link, session):
                return await join_as(request, link, session)
            _expect_same(form)
            await parts.people.accept(token, form.password.get_secret_value(), name=form.name)
        except LinkInvalid as error:
            return pages.failed(request, error, "message")
        except AccountsError as error:
            return await show_invitation(request, link, error)
        return await come_in(request, link.login, form.password.get_secret_value(), session)

    async def join_as(request: Request, link: Link, session: Session) -> Response:
        """Join as whoever is signed in, and go on in that account."""
        joined = await parts.people.join(link.token.reveal(), session.user.id)
        response = go(request, "/account")
        if joined.account.id != session.account.id:
            started = await parts.sign_in.switch(session, joined.account.id, client_of(request))
            keep_session(request, response, started)
        return response

    async def come_in(request: Request, login: str, password: str, before: Session | None) -> Response:
        """Sign somebody in who has just chosen their password."""
        old = None if before is None else before.id
        try:
            signed_in = await parts.sign_in.sign_in(login, password, client_of(request), before=old)
        except AccountsError:
            return go(request, SIGN_IN_PATH)
        response = go(request, "/account")
        keep_session(request, response, signed_in.session)
        keep_device(request, response, signed_in)
        return response

    @router.get("/reset/{token}", summary="The page to choose a new password")
    @public()
    @raises(LinkInvalid)
    async def reset_page(request: Request, token: Token) -> Response:
        try:
            return pages.show(request, "reset", link=await parts.people.reset(token))
        except LinkInvalid as error:
            return pages.failed(request, error, "message")

    @router.post("/reset/{token}", summary="Choose a new password; every session ends", **SENT_ON)
    @public()
    @raises(*CHOOSING)
    async def reset(request: Request, token: Token, form: Annotated[NewPasswordForm, Form()]) -> Response:
        try:
            link = await parts.people.reset(token)
            expect_secure(request, plain_http=parts.config.plain_http)
        except AccountsError as error:
            return pages.failed(request, error, "message")
        try:
            pages.expect_own_form(request, form.csrf)
            _expect_same(form)
            await parts.people.reset_password(token, form.password.get_secret_value())
        except LinkInvalid as error:
            return pages.failed(request, error, "message")
        except AccountsError as error:
            return pages.failed(request, error, "reset", link=link)
        return go(request, SIGN_IN_PATH, done="password_changed")

    return router


def _about(request: Request, link: Link, session: Session | None) -> dict[str, Any]:
    query = urlencode({"return_to": request.url.path})
    return {
        "link": link,
        "name": "",
        "can_join": session is not None and _is_for(link, session),
        "sign_in_url": f"{root_of(request)}{SIGN_IN_PATH}?{query}",
    }


def _is_for(link: Link, session: Session) -> bool:
    return login_key(link.login) == login_key(session.user.login)


def _expect_same(form: NewPasswordForm) -> None:
    if form.password != form.again:
        raise refused("differs")
