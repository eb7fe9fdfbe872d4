"""The plugin in NET mode: business data on another server, over a real socket, with keys from whoever has them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import pytest
from objectkernel import BootError, KernelError, Plugin, provides
from objectkernel_system_dialect.contracts import (
    API_KEY_SOURCE,
    DATA_PLUG,
    DIALECT,
    SYSTEM_DIALECT,
    ApiKeySource,
    Dialect,
    EntityUnknown,
)
from objectkernel_system_dialect.errors import AccessDenied
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.system_dialect.kernels import KEY_ROW, ORDER, shop
from tests.plugins.system_dialect.served import HOST, HOST_KEY, Served, serve

pytestmark = pytest.mark.anyio


async def orders() -> Dialect:
    """What the server has."""
    dialect = await open_sqlite(":memory:")
    await dialect.register(ORDER)
    return dialect


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[Served]:
    """A server of orders."""
    async with serve(orders) as served:
        yield served


def net(server: Served, folder: Path, key: str | None = HOST_KEY) -> dict[str, str]:
    """Settings with the business data on the server and the system's in a file."""
    environ = {
        "MOSTA_DATA": "net",
        "MOSTA_NET_URL": f"{server.url}/",
        "MOSTA_SYSTEM_DIALECT": "sqlite",
        "MOSTA_SYSTEM_URI": str(folder / "system.db"),
    }
    return environ if key is None else {**environ, "MOSTA_NET_API_KEY": key}


class Keys(Plugin):
    """Gives a key, and another one when it is asked again."""

    name = "keys"
    first = HOST_KEY

    @provides(API_KEY_SOURCE)
    def source(self) -> ApiKeySource:
        return self

    async def api_key(self, *, refresh: bool = False) -> str:
        """The key of the host, or a stale one at first."""
        return HOST_KEY if refresh else self.first


async def test_business_data_is_on_the_server(anyio_backend: str, server: Served, tmp_path: Path) -> None:
    """`DIALECT` reads and writes there, `SYSTEM_DIALECT` here."""
    async with shop(net(server, tmp_path)) as kernel:
        plug, business = kernel.get(DATA_PLUG), kernel.get(DIALECT)
        assert (plug.get_data_mode(), plug.is_net_mode(), plug.is_orm_mode()) == ("net", True, False)
        row = await business.create(ORDER, {"total": 1})
        assert await business.find_by_id(ORDER, row["id"]) == row
        await kernel.get(SYSTEM_DIALECT).create(KEY_ROW, {"name": "a"})
        await plug.disconnect()
        assert await business.count(ORDER) == 1


async def test_a_change_may_lead_from_the_server_to_a_database(
    anyio_backend: str, server: Served, tmp_path: Path
) -> None:
    """The mode is that of the present place; the settings lead back."""
    async with shop(net(server, tmp_path)) as kernel:
        plug = kernel.get(DATA_PLUG)
        await plug.change_dialect("sqlite", str(tmp_path / "orders.db"))
        assert (plug.get_data_mode(), await kernel.get(DIALECT).count(ORDER)) == ("orm", 0)
        assert await plug.reload_config() is True
        assert plug.is_net_mode()
        assert await plug.reload_config() is False


@pytest.mark.parametrize("first", [HOST_KEY, "stale"])
async def test_a_source_gives_the_key(
    anyio_backend: str, server: Served, tmp_path: Path, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a setting the optional service is asked, and for a stale key asked once more."""
    monkeypatch.setattr(Keys, "first", first)
    async with shop(net(server, tmp_path, key=None), Keys) as kernel:
        assert await kernel.get(DIALECT).count(ORDER) == 0


async def test_a_registered_renewal_is_asked_when_the_key_expires(
    anyio_backend: str, server: Served, tmp_path: Path
) -> None:
    """While the kernel runs the server takes another key only: whoever registered gives it, once."""
    asked: list[str] = []

    async def renew() -> str:
        asked.append("again")
        return "next"

    async with shop(net(server, tmp_path)) as kernel:
        del server.keys.known[HOST_KEY]
        with pytest.raises(AccessDenied):
            await kernel.get(DIALECT).count(ORDER)
        kernel.get(DATA_PLUG).on_api_key_invalid(renew)
        server.keys.known["next"] = HOST
        for _ in range(3):
            assert await kernel.get(DIALECT).count(ORDER) == 0
    assert asked == ["again"]


async def test_a_renewal_that_fails_is_an_access_denied(anyio_backend: str, server: Served, tmp_path: Path) -> None:
    """Callers get an error of data access, with the reason and the fix; all who were refused at once ask once."""
    asked: list[str] = []

    async def renew() -> str:
        asked.append("again")
        await anyio.sleep(0.05)
        raise KernelError("nobody approved", why="the code ended", fix="ask again")

    denied: list[AccessDenied] = []
    async with shop(net(server, tmp_path)) as kernel:
        del server.keys.known[HOST_KEY]
        kernel.get(DATA_PLUG).on_api_key_invalid(renew)

        async def count() -> None:
            try:
                await kernel.get(DIALECT).count(ORDER)
            except AccessDenied as error:
                denied.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(count)
    assert (len(denied), len(asked)) == (5, 1)
    (told,) = [error for error in denied if error.__cause__ is not None]
    assert told.why == ("the server does not accept the key", "[K000] nobody approved", "the code ended")
    assert told.fix == "ask again"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"MOSTA_NET_API_KEY": "hunter2"}, "AccessDenied"),
        ({"MOSTA_NET_TRANSPORT": "graphql"}, "the transport 'graphql' is known, but nothing here offers it"),
        ({"MOSTA_NET_TRANSPORT": "rset"}, "did you mean 'rest'"),
        ({"MOSTA_NET_URL": "gopher://ada:hunter2@host/"}, "DialectUnsupported"),
    ],
    ids=str,
)
async def test_what_cannot_be_reached_stops_the_boot(
    anyio_backend: str, server: Served, tmp_path: Path, change: Mapping[str, str], words: str
) -> None:
    """The report says what is wrong; no key and no password is in it."""
    with pytest.raises(BootError) as caught:
        async with shop({**net(server, tmp_path), **change}):
            pass
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_the_reason_is_told_where_the_address_is_a_host_and_a_port(
    anyio_backend: str, server: Served, tmp_path: Path
) -> None:
    """The usual form of an address hides no error: the report has the server's own reason and what to do."""
    with pytest.raises(BootError) as caught:
        async with shop({**net(server, tmp_path), "MOSTA_NET_URL": server.url, "MOSTA_NET_API_KEY": "hunter2"}):
            pass
    assert "the server does not accept the key" in str(caught.value)
    assert "set MOSTA_NET_API_KEY" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_the_systems_data_on_another_server_is_said_aloud(
    anyio_backend: str, server: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a database of its own the system's data would go to the server, which serves no such entities."""
    environ = net(server, tmp_path)
    del environ["MOSTA_SYSTEM_DIALECT"], environ["MOSTA_SYSTEM_URI"]
    with caplog.at_level(logging.WARNING), pytest.raises(BootError) as caught:
        async with shop(environ):
            pass
    (problem,) = caught.value.exceptions
    assert isinstance(problem, EntityUnknown)
    assert "D409" in caplog.text
    assert "on another server" in caplog.text
