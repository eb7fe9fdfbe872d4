"""``/api/v1/keys``: the keys of whoever asks, for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from objectkernel_contracts import Principal, Scope, raises, requires
from objectkernel_system_dialect.contracts import CursorInvalid
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_device_auth import key_models as models
from objectkernel_device_auth.contracts import UNTIL_REVOKED, ApiKey, ApiKeys, IssuedKey
from objectkernel_device_auth.errors import InvalidRequest, KeyMissing
from objectkernel_device_auth.key_models import KeyId
from objectkernel_device_auth.key_scopes import MANAGE, READ, WRITE

PATH: Final = "/api/v1/keys"
NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def key_router(keys: ApiKeys) -> APIRouter:
    """The routes. The keys of others in the account are there for those alone who may manage them."""
    router = APIRouter(prefix=PATH, tags=["keys"], dependencies=[Depends(_not_kept)])

    @router.get("", summary="List one's keys")
    @requires(Scope(READ, MANAGE))
    @raises(InvalidRequest)
    async def list_keys(request: Request, asked: Annotated[models.KeyParameters, Query()]) -> models.KeyPage:
        by: Principal = request.state.principal
        if asked.everybody and MANAGE not in by.scopes:
            raise InvalidRequest("not all keys of the account can be listed", why=f"that needs the scope {MANAGE}")
        if by.user_id is None and not asked.everybody:
            own = None if by.key_id is None else await keys.get(by.account_id, by.key_id)
            return models.KeyPage(items=[models.shown(one) for one in (own,) if one is not None], next=None)
        whose = None if asked.everybody else by.user_id
        try:
            found, more = await keys.list(by.account_id, user_id=whose, limit=asked.limit, after=asked.after)
        except CursorInvalid as error:
            raise InvalidRequest("`after` is no cursor of this list", why=error.why, fix=error.fix) from error
        return models.KeyPage(items=list(map(models.shown, found)), next=more)

    @router.post("", summary="Make a key", status_code=201)
    @requires(Scope(WRITE, MANAGE))
    @raises(InvalidRequest)
    async def make_key(request: Request, body: models.NewKey) -> models.MadeKey:
        by: Principal = request.state.principal
        expires_in = UNTIL_REVOKED if body.expires_in == 0 else _seconds(body.expires_in)
        user_id = None if body.of_account else by.user_id
        made = await keys.issue(by.account_id, body.name, body.scopes, user_id=user_id, expires_in=expires_in, by=by)
        return _made(made)

    @router.get("/self", summary="The key that is shown")
    @requires(Scope())
    @raises(KeyMissing)
    async def own_key(request: Request) -> models.OwnKey:
        by: Principal = request.state.principal
        key = None if by.key_id is None else await keys.get(by.account_id, by.key_id)
        if key is None:
            raise KeyMissing("no key is shown", why="whoever asks has signed in", fix="send a key", key_id="")
        return models.OwnKey(key=models.shown(key), account_id=by.account_id, scopes=sorted(by.scopes))

    @router.get("/{key_id}", summary="Look at a key")
    @requires(Scope(READ, MANAGE))
    @raises(KeyMissing)
    async def look_at_key(request: Request, key_id: KeyId) -> models.ShownKey:
        by: Principal = request.state.principal
        key = await keys.get(by.account_id, key_id)
        if key is None or not _may_see(by, key):
            raise _missing(key_id)
        return models.shown(key)

    @router.post("/{key_id}/rotate", summary="Put a new key in the place of one", status_code=201)
    @requires(Scope(WRITE, MANAGE))
    @raises(InvalidRequest, KeyMissing)
    async def rotate_key(request: Request, key_id: KeyId, body: models.Rotation | None = None) -> models.MadeKey:
        by: Principal = request.state.principal
        overlap = None if body is None else _seconds(body.overlap)
        return _made(await keys.rotate(by.account_id, key_id, overlap=overlap, by=by))

    @router.delete("/{key_id}", summary="End a key, and all that came with it", status_code=204)
    @requires(Scope(WRITE, MANAGE))
    @raises(KeyMissing)
    async def revoke_key(request: Request, key_id: KeyId) -> Response:
        by: Principal = request.state.principal
        if not await keys.revoke(by.account_id, key_id, by=by):
            raise _missing(key_id)
        return Response(status_code=204, headers=NO_STORE)

    return router


async def _not_kept(response: Response) -> None:
    """What is about keys is kept by no cache."""
    response.headers.update(NO_STORE)


def _may_see(by: Principal, key: ApiKey) -> bool:
    if MANAGE in by.scopes:
        return True
    return key.id == by.key_id if by.user_id is None else key.user_id == by.user_id


def _made(issued: IssuedKey) -> models.MadeKey:
    return models.MadeKey(key=models.shown(issued.key), secret=issued.secret.reveal())


def _seconds(given: int | None) -> timedelta | None:
    return None if given is None else timedelta(seconds=given)


def _missing(key_id: str) -> KeyMissing:
    """The same for what is not there and for what the caller may not see."""
    return KeyMissing("there is no such key of yours", fix="list your keys", key_id=key_id)
