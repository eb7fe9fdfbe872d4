"""``/api/v1/account``: who is calling, and who else is in their account."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from objectkernel_contracts import Principal, Scope, raises, requires
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_accounts import forms
from objectkernel_accounts.contracts import Membership, User
from objectkernel_accounts.directory import RANKS
from objectkernel_accounts.errors import AccountMissing, AccountStateInvalid, LoginInvalid, RoleRefused, UserMissing
from objectkernel_accounts.pages import NO_STORE
from objectkernel_accounts.parts import Parts

PATH: Final = "/api/v1/account"
READ: Final = "members:read"
WRITE: Final = "members:write"

UserId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$", examples=["0b54a1d6-3f0b-4a50-9d4f-9d2f2d6f3b1e"])]


def account_api(parts: Parts) -> APIRouter:
    """The JSON routes."""
    router = APIRouter(prefix=PATH, tags=["account"], dependencies=[Depends(_not_kept)])

    @router.get("", summary="Who is calling")
    @requires(Scope())
    @raises(AccountMissing)
    async def me(request: Request) -> forms.Me:
        principal: Principal = request.state.principal
        account = await parts.accounts.get(principal.account_id)
        if account is None:
            raise AccountMissing("there is no such account", account_id=principal.account_id)
        memberships = () if principal.user_id is None else await parts.accounts.memberships(principal.user_id)
        own = next((one for one in memberships if one.account.id == account.id), None)
        return forms.Me(
            account=forms.ShownAccount(id=account.id, name=account.name),
            user=None if own is None else _user(own.user),
            role=None if own is None else own.role,
            scopes=sorted(principal.scopes),
        )

    @router.get("/members", summary="Who is in the account")
    @requires(Scope(READ))
    async def members(request: Request) -> forms.Members:
        found = await parts.accounts.members(request.state.principal.account_id)
        return forms.Members(items=[_member(one) for one in sorted(found, key=lambda one: -RANKS[one.role])])

    @router.patch("/members/{user_id}", summary="Let somebody be something else in the account")
    @requires(Scope(WRITE))
    @raises(UserMissing, AccountMissing, RoleRefused, AccountStateInvalid)
    async def set_role(request: Request, user_id: UserId, body: forms.RoleChange) -> forms.Member:
        by: Principal = request.state.principal
        return _member(await parts.accounts.set_role(by.account_id, user_id, body.role, by=by))

    @router.delete("/members/{user_id}", summary="Take somebody out of the account", status_code=204)
    @requires(Scope(WRITE))
    @raises(UserMissing, AccountMissing, RoleRefused, AccountStateInvalid)
    async def remove(request: Request, user_id: UserId) -> Response:
        by: Principal = request.state.principal
        await parts.accounts.remove_member(by.account_id, user_id, by=by)
        return Response(status_code=204)

    @router.post("/invitations", summary="Invite somebody into the account", status_code=201)
    @requires(Scope(WRITE))
    @raises(AccountMissing, RoleRefused, AccountStateInvalid, LoginInvalid)
    async def invite(request: Request, body: forms.NewInvitation) -> forms.Invited:
        by: Principal = request.state.principal
        link = await parts.people.invite(body.login, by.account_id, body.role, by=by)
        return forms.Invited(login=link.login, role=body.role, path=link.path, expires_at=link.expires_at)

    return router


async def _not_kept(response: Response) -> None:
    """What is about somebody, or lets somebody in, is kept by no cache, whatever showed who asked."""
    response.headers.update(NO_STORE)


def _user(user: User) -> forms.ShownUser:
    return forms.ShownUser(id=user.id, login=user.login, name=user.name, operator=user.operator)


def _member(membership: Membership) -> forms.Member:
    return forms.Member(user=_user(membership.user), role=membership.role)
