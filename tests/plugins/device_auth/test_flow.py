"""The device flow from the first request to the key and its successors."""

from __future__ import annotations

import pytest
from objectkernel_device_auth.contracts import DeviceApproved

from tests.plugins.device_auth.flows import CLI, LAPTOP, PHONE, READ, WRITE, desk_of, person, refused

pytestmark = pytest.mark.anyio


async def test_a_device_gets_a_key() -> None:
    """Asked, pending, claimed, approved, exchanged, refreshed, revoked: and each step is in the trail."""
    async with desk_of() as desk:
        asked = await desk.ask(scope=f"{READ} {WRITE}")
        code = asked.device_code.reveal()
        assert await refused(desk.redeem(code)) == "authorization_pending"
        found = await desk.flow.claim(asked.user_code, person(), asker=PHONE)
        assert found.user_code == asked.user_code
        assert (found.scopes, found.asker, found.client.id) == ((READ, WRITE), LAPTOP, CLI)
        assert await desk.flow.decide(found.id, "approved", person(), scopes=[READ], name="laptop")
        answer = await desk.redeem(code)
        assert (answer.scope, answer.token_type, answer.expires_in) == (READ, "Bearer", 86_400)
        key = await desk.parts.keys.verify(answer.access_token.reveal())
        assert key is not None
        assert (key.account_id, key.user_id, key.name, key.client_id) == ("acme", "ada", "laptop", CLI)
        again = await desk.refresh(answer.refresh_token)
        assert again.access_token != answer.access_token
        await desk.flow.revoke(again.access_token.reveal(), CLI)
        assert not await desk.is_good(again.access_token)
        assert await refused(desk.refresh(again.refresh_token)) == "invalid_grant"
        (told,) = desk.told
        assert isinstance(told, DeviceApproved)
        assert (told.account_id, told.user_id, told.asker, told.scopes) == ("acme", "ada", LAPTOP, {READ})
