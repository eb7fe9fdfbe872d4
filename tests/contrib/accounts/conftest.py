"""Accounts on a database in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contrib.accounts.browsers import Shop, shop
from tests.contrib.accounts.hosts import House, housed


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    async with housed() as made:
        yield made


@pytest.fixture
async def served(anyio_backend: str) -> AsyncIterator[Shop]:
    async with shop() as made:
        yield made
