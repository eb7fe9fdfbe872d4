"""``/account/devices``: the devices and keys of whoever is signed in, when each was used, and how to end it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Path, Query
from objectkernel_contracts import Principal, public, raises
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from objectkernel_device_auth.contracts import Clients
from objectkernel_device_auth.devices import Device, Devices
from objectkernel_device_auth.errors import DeviceAuthError, KeyMissing
from objectkernel_device_auth.page_errors import FormExpired, SignedOut
from objectkernel_device_auth.pages_shared import DEVICES_PATH, SENT_ON, WITHOUT_NUL, Pages, go, page_route, root_of

SHOWN: Final = 20
"""Of them on one page."""
PAGES: Final = 50

DeviceId = Annotated[str, Path(max_length=200, pattern=WITHOUT_NUL, examples=["0b54a1d6-3f0b-4a50-9d4f-9d2f2d6f3b1e"])]


class RevokeForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    csrf: str = ""


def devices_router(pages: Pages, devices: Devices, clients: Clients) -> APIRouter:
    """The pages about one's own devices and keys. What is somebody else's is as if it were not there."""
    router = APIRouter(tags=["own devices"], default_response_class=HTMLResponse, route_class=page_route(pages))

    async def own(person: Principal, id: str) -> Device:
        device = await devices.get(person, id)
        if device is None:
            raise _missing(id)
        return device

    async def programs(shown: tuple[Device, ...]) -> dict[str, str]:
        """The names of the clients that were let in."""
        found = {id: await clients.get(id) for id in {one.client_id for one in shown} if id is not None}
        return {id: id if client is None else client.name for id, client in found.items()}

    def failed(request: Request, error: DeviceAuthError) -> Response:
        if isinstance(error, SignedOut):
            return pages.failed(request, error)
        return pages.failed(request, error, onward=f"{root_of(request)}{DEVICES_PATH}", label="back")

    @router.get(DEVICES_PATH, summary="The page about one's own devices and keys")
    @public()
    @raises(SignedOut)
    async def devices_page(request: Request, page: Annotated[int, Query(ge=0, lt=PAGES)] = 0) -> Response:
        try:
            person = pages.person(request)
        except DeviceAuthError as error:
            return failed(request, error)
        shown, has_more = await devices.list(person, page=page, size=SHOWN)
        more = page + 1 if has_more and page + 1 < PAGES else None
        return pages.show(request, "devices", devices=shown, programs=await programs(shown), more=more)

    @router.get(f"{DEVICES_PATH}/{{id}}", summary="The page to revoke one of one's own devices or keys")
    @public()
    @raises(SignedOut, KeyMissing)
    async def device_page(request: Request, id: DeviceId) -> Response:
        try:
            person = pages.person(request)
            device = await own(person, id)
        except DeviceAuthError as error:
            return failed(request, error)
        told = await programs((device,))
        return pages.show(request, "revoke", person=person, about=("revoke", id), device=device, programs=told)

    @router.post(f"{DEVICES_PATH}/{{id}}/revoke", summary="Revoke one of one's own devices or keys", **SENT_ON)
    @public()
    @raises(SignedOut, FormExpired, KeyMissing)
    async def revoke(request: Request, id: DeviceId, form: Annotated[RevokeForm, Form()]) -> Response:
        try:
            person = pages.person(request)
            pages.expect_own_form(form.csrf, person, "revoke", id)
            if not await devices.end(person, id):
                raise _missing(id)
        except DeviceAuthError as error:
            return failed(request, error)
        return go(request, DEVICES_PATH, done="revoked")

    return router


def _missing(id: str) -> KeyMissing:
    return KeyMissing("there is no such device or key of yours", fix="look at the list again", key_id=id)
