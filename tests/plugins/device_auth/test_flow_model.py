"""Whatever devices, people and clocks do in whatever order: what must never happen does not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel.secret import Secret
from objectkernel_device_auth.contracts import Asker, DeviceAuthorization, OAuthError, TokenAnswer, TooManyTries
from objectkernel_device_auth.sweeping import sweep

from tests.plugins.device_auth.flows import CLI, Desk, desk_of, person

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFETIME = timedelta(seconds=600)
GRACE = timedelta(seconds=20)
PLACES = (Asker(address="203.0.113.7"), Asker(address="203.0.113.8"))

FEW = tuple(range(3))
STEPS = st.sampled_from(
    [
        ("ask",),
        ("sweep",),
        *(("wait", seconds) for seconds in (1, 4, 5, 11, 19, 21, 300, 601)),
        *(("claim", which, who) for which in FEW for who in FEW[:2]),
        *(("decide", which, who, decision) for which in FEW for who in FEW[:2] for decision in ("approved", "denied")),
        *(("poll", which, place) for which in FEW for place in (0, 1)),
        *[("grant", which) for which in FEW] * 3,
        *[("refresh", which) for which in range(4)] * 3,
        *(("revoke", which) for which in FEW),
    ]
)
"""Some are there several times, so that they are tried more often."""


@attrs.define
class Known:
    """What is known of one device.

    Attributes:
        claimed: by whom, and the id of the request.
        granted: a key was given for it.
        ended: nothing that came of it is good any more.
    """

    asked: DeviceAuthorization
    at: datetime
    claimed: tuple[int, str] | None = None
    decision: str | None = None
    granted: bool = False
    ended: bool = False


@attrs.define
class Token:
    """A refresh token, and what it was exchanged for."""

    answer: TokenAnswer
    device: Known
    used_at: datetime | None = None
    successor: TokenAnswer | None = None


class World:
    """Takes steps, and checks each answer against what may be."""

    def __init__(self, desk: Desk, clock: Any) -> None:
        self.desk = desk
        self.clock = clock
        self.devices: list[Known] = []
        self.tokens: list[Token] = []

    async def step(self, name: str, *values: Any) -> None:
        await getattr(self, name)(*values)

    async def ask(self) -> None:
        if len(self.devices) < 3:
            self.devices.append(Known(await self.desk.ask(), datetime.now(UTC)))

    async def wait(self, seconds: int) -> None:
        self.clock.shift(seconds)

    async def sweep(self) -> None:
        await sweep(self.desk.dialect)

    async def claim(self, which: int, who: int) -> None:
        if (device := self._device(which)) is None:
            return
        try:
            found = await self.desk.flow.claim(device.asked.user_code, person(f"p{who}"))
        except TooManyTries:
            return
        if found is not None:
            assert self._lives(device)
            assert device.decision is None
            assert device.claimed is None or device.claimed[0] == who
            device.claimed = who, found.id
        else:
            taken = device.claimed is not None and device.claimed[0] != who
            assert taken or device.decision is not None or not self._lives(device)

    async def decide(self, which: int, who: int, decision: str) -> None:
        device = self._device(which)
        if device is None or device.claimed is None:
            return
        won = await self.desk.flow.decide(device.claimed[1], decision, person(f"p{who}"))
        assert won == (device.claimed[0] == who and device.decision is None and self._lives(device))
        if won:
            device.decision = decision

    async def poll(self, which: int, place: int) -> None:
        if (device := self._device(which)) is None:
            return
        try:
            answer = await self.desk.redeem(device.asked.device_code.reveal(), asker=PLACES[place])
        except OAuthError as error:
            if device.granted:
                assert error.error == "invalid_grant"
                device.ended = device.ended or not await self.desk.is_good(self._newest(device).access_token)
            elif not self._lives(device):
                assert error.error in ("expired_token", "invalid_grant")
            elif device.decision == "denied":
                assert error.error == "access_denied"
            else:
                assert device.decision is None
                assert error.error in ("authorization_pending", "slow_down")
            return
        assert device.decision == "approved"
        assert self._lives(device)
        assert not device.granted
        device.granted = True
        self.tokens.append(Token(answer, device))

    async def grant(self, which: int) -> None:
        """What people usually do, in one step, so that what comes after it is tried often."""
        await self.claim(which, 0)
        await self.decide(which, 0, "approved")
        await self.poll(which, 0)

    async def refresh(self, which: int) -> None:
        if which >= len(self.tokens):
            return
        token, now = self.tokens[which], datetime.now(UTC)
        try:
            answer = await self.desk.refresh(token.answer.refresh_token)
        except OAuthError as error:
            assert error.error == "invalid_grant"
            assert token.device.ended or (token.used_at is not None and now - token.used_at >= GRACE)
            token.device.ended = True
            return
        assert not token.device.ended
        if token.successor is not None:
            assert token.used_at is not None
            assert now - token.used_at < GRACE
            assert answer.refresh_token == token.successor.refresh_token
            return
        token.used_at, token.successor = now, answer
        self.tokens.append(Token(answer, token.device))

    async def revoke(self, which: int) -> None:
        if which >= len(self.tokens):
            return
        secret: Secret[str] | None = self.tokens[which].answer.refresh_token
        assert secret is not None
        await self.desk.flow.revoke(secret.reveal(), CLI)
        self.tokens[which].device.ended = True

    async def check(self) -> None:
        """A key of a family that has ended is good nowhere, and of every other family the last one is."""
        for device in self.devices:
            if device.granted:
                assert await self.desk.is_good(self._newest(device).access_token) is not device.ended
            for token in self.tokens:
                if token.device is device and device.ended:
                    assert not await self.desk.is_good(token.answer.access_token)

    def _device(self, which: int) -> Known | None:
        return self.devices[which] if which < len(self.devices) else None

    def _newest(self, device: Known) -> TokenAnswer:
        return [token.answer for token in self.tokens if token.device is device][-1]

    def _lives(self, device: Known) -> bool:
        return datetime.now(UTC) < device.at + LIFETIME


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(STEPS, min_size=20, max_size=40))
def test_every_order_of_steps(steps: list[tuple[Any, ...]]) -> None:
    """One key for each approval, none without, none after its time, and nothing of a family that has ended."""

    async def run() -> None:
        with time_machine.travel(NOW, tick=False) as clock:
            async with desk_of(access_lifetime=30 * 86_400.0) as desk:
                world = World(desk, clock)
                for step in (*[("ask",)] * 3, *steps):
                    await world.step(*step)
                await world.check()

    asyncio.run(run())
