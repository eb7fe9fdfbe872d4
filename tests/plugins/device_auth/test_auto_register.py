"""The assertions of the description's versions 1.2.0 and 1.2.1, each under its words, through a kernel's settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from objectkernel_device_auth.contracts import (
    API_KEY_SOURCE,
    AuthorizationFailed,
    CodeIssued,
    DeviceKeySource,
    StoredToken,
)

from tests.plugins.device_auth.authorization_server import AuthorizationServer, authorization_server
from tests.plugins.device_auth.client_side import MemoryStore, kernel, token

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("home", "quick")]
URL = "https://octonet.example/"
ISSUER = "https://octonet.example"


@asynccontextmanager
async def source(environ: Mapping[str, str]) -> AsyncIterator[DeviceKeySource]:
    """The service of a kernel with this environment."""
    async with kernel(environ) as running:
        yield cast("DeviceKeySource", running.get(API_KEY_SOURCE))


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    """An authorization server that lets everybody in."""
    with authorization_server() as server:
        yield server


def quiet(code: CodeIssued) -> None:
    """Somebody is there to see the code."""


# --- 1.2.0 --------------------------------------------------------------------------------------------


async def test_cascade_mosta_env_test_wins_over_plain(anyio_backend: str) -> None:
    """``TEST_MOSTA_NET_API_KEY`` wins with ``MOSTA_ENV=TEST``, and only then."""
    keys = {"MOSTA_NET_API_KEY": "plain", "TEST_MOSTA_NET_API_KEY": "of the test"}
    async with source({"MOSTA_ENV": "TEST", **keys}) as keys_of:
        assert await keys_of.ensure_api_key() == "of the test"
    async with source(keys) as keys_of:
        assert await keys_of.ensure_api_key() == "plain"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MOSTA_NET_URL", "https://test.example"),
        ("MOSTA_AUTH_FLOW_URL", "https://test.example"),
        ("MOSTA_CLIENT_ID", "test-client"),
        ("MOSTA_HOST", "test-host"),
        ("MOSTA_NO_AUTOREGISTER", "true"),
    ],
)
async def test_cascade_holds_for_every_variable(
    anyio_backend: str, home: Path, name: str, value: str, server: AuthorizationServer
) -> None:
    """What the stage's variable says decides where the key is looked for, or that none is asked for."""
    issuer = "https://test.example" if name.endswith("URL") else server.url
    client = "test-client" if name == "MOSTA_CLIENT_ID" else "objectkernel-cli"
    plain = {"MOSTA_NET_URL": server.url, "MOSTA_ENV": "TEST", f"TEST_{name}": value}
    store = MemoryStore(token(issuer, client_id=client))
    async with source(plain) as keys_of:
        if name == "MOSTA_HOST":
            await keys_of.ensure_api_key(on_code_issued=quiet)
            assert (home / "test-host" / "auth.json").exists()
        elif name == "MOSTA_NO_AUTOREGISTER":
            with pytest.raises(AuthorizationFailed, match="MOSTA_NO_AUTOREGISTER"):
                await keys_of.ensure_api_key(on_code_issued=quiet)
        else:
            assert await keys_of.ensure_api_key(store=store) == "kept-key"


async def test_mosta_net_api_key_explicit_short_circuits(anyio_backend: str) -> None:
    """It is returned as it is; neither a store nor an address is looked at."""
    environ = {"MOSTA_NET_API_KEY": " ok_existing key ", "MOSTA_NET_URL": "no address"}
    async with source(environ) as keys_of:
        assert await keys_of.ensure_api_key(store=MemoryStore(token(ISSUER))) == " ok_existing key "
        assert await keys_of.api_key() == " ok_existing key "


async def test_cached_valid_token_of_a_custom_store_is_returned(anyio_backend: str) -> None:
    """Nothing is asked for and nothing is saved."""
    store = MemoryStore(token(ISSUER))
    async with source({"MOSTA_NET_URL": URL}) as keys_of:
        assert await keys_of.ensure_api_key(store=store) == "kept-key"
    assert store.saved == 0


@pytest.mark.parametrize(("ends", "good"), [(61.5, True), (59.0, False), (-1.0, False), (None, True)])
async def test_cached_token_has_60_seconds_skew(anyio_backend: str, ends: float | None, good: bool) -> None:
    """What ends within a minute has ended."""
    store = MemoryStore(token(ISSUER, ends=ends))
    async with source({"MOSTA_NET_URL": URL, "MOSTA_NO_AUTOREGISTER": "true"}) as keys_of:
        if good:
            assert await keys_of.ensure_api_key(store=store) == "kept-key"
        else:
            with pytest.raises(AuthorizationFailed):
                await keys_of.ensure_api_key(store=store)


@pytest.mark.parametrize("stored", [[], [token(ISSUER, ends=-1)]], ids=["nothing", "expired"])
async def test_mosta_no_autoregister_without_cache_throws(anyio_backend: str, stored: list[StoredToken]) -> None:
    """The error says which variable to set, and which stands in the way."""
    store = MemoryStore(*stored)
    async with source({"MOSTA_NET_URL": URL, "MOSTA_NO_AUTOREGISTER": "true"}) as keys_of:
        with pytest.raises(AuthorizationFailed) as caught:
            await keys_of.ensure_api_key(store=store, on_code_issued=quiet)
    assert caught.value.reason == "opted-out"
    assert "MOSTA_NO_AUTOREGISTER" in caught.value.why[0]
    assert "MOSTA_NET_API_KEY" in caught.value.fix


async def test_mosta_no_autoregister_with_cache_returns_it(anyio_backend: str) -> None:
    """What is there needs nobody."""
    environ = {"MOSTA_NET_URL": URL, "MOSTA_NO_AUTOREGISTER": "true"}
    async with source(environ) as keys_of:
        assert await keys_of.ensure_api_key(store=MemoryStore(token(ISSUER))) == "kept-key"


async def test_without_mosta_net_url_throws_clearly(anyio_backend: str) -> None:
    """Nobody says where to ask."""
    async with source({}) as keys_of:
        with pytest.raises(AuthorizationFailed) as caught:
            await keys_of.ensure_api_key(on_code_issued=quiet)
    assert caught.value.reason == "address"
    assert "MOSTA_NET_URL" in caught.value.fix


async def test_mosta_client_id_override_by_the_environment(anyio_backend: str, server: AuthorizationServer) -> None:
    """An argument wins over it, and it over the default."""
    environ = {"MOSTA_NET_URL": server.url, "MOSTA_CLIENT_ID": "of-the-environment"}
    async with source(environ) as keys_of:
        await keys_of.ensure_api_key(on_code_issued=quiet)
        await keys_of.ensure_api_key(on_code_issued=quiet, client_id="of-the-argument")
    async with source({"MOSTA_NET_URL": server.url}) as keys_of:
        await keys_of.ensure_api_key(on_code_issued=quiet)
    clients = [form["client_id"] for form in server.sent("/device_authorization")]
    assert clients == ["of-the-environment", "of-the-argument", "objectkernel-cli"]


async def test_mosta_host_override_by_the_environment(
    anyio_backend: str, server: AuthorizationServer, home: Path
) -> None:
    """The folder of the file: of the argument, of the environment, of the default."""
    async with source({"MOSTA_NET_URL": server.url, "MOSTA_HOST": "octonet"}) as keys_of:
        await keys_of.ensure_api_key(on_code_issued=quiet)
        await keys_of.ensure_api_key(on_code_issued=quiet, host="orphan-care")
    async with source({"MOSTA_NET_URL": server.url}) as keys_of:
        await keys_of.ensure_api_key(on_code_issued=quiet)
    assert {file.parent.name for file in home.glob("*/auth.json")} == {"octonet", "orphan-care", "objectkernel"}


async def test_device_flow_gets_a_key_that_is_kept(anyio_backend: str, server: AuthorizationServer) -> None:
    """It is asked for once: the next host of this user finds it."""
    codes: list[CodeIssued] = []
    environ = {"MOSTA_NET_URL": f"{server.url}/"}
    async with source(environ) as keys_of:
        key = await keys_of.ensure_api_key(on_code_issued=codes.append)
    assert key in server.keys
    assert [code.user_code for code in codes] == ["BCDF-GHJK"]
    async with source(environ) as keys_of:
        assert await keys_of.api_key() == key
    assert server.flows == 1


# --- 1.2.1 --------------------------------------------------------------------------------------------


async def test_t2_a_mosta_auth_flow_url_has_priority(anyio_backend: str, server: AuthorizationServer) -> None:
    """The keys come from there, and the data from elsewhere."""
    async with source({"MOSTA_AUTH_FLOW_URL": server.url, "MOSTA_NET_URL": "https://octonet.invalid"}) as keys_of:
        assert await keys_of.ensure_api_key(on_code_issued=quiet) in server.keys


async def test_t2_b_mosta_net_url_is_the_fallback(anyio_backend: str, server: AuthorizationServer) -> None:
    """One address for both; an empty variable is none."""
    async with source({"MOSTA_AUTH_FLOW_URL": "", "MOSTA_NET_URL": server.url}) as keys_of:
        assert await keys_of.ensure_api_key(on_code_issued=quiet) in server.keys


async def test_t2_c_without_either_it_throws(anyio_backend: str) -> None:
    """Both variables are named."""
    async with source({"MOSTA_AUTH_FLOW_URL": "", "MOSTA_NET_URL": ""}) as keys_of:
        with pytest.raises(AuthorizationFailed, match=r"(?s)MOSTA_AUTH_FLOW_URL.*MOSTA_NET_URL") as caught:
            await keys_of.ensure_api_key(on_code_issued=quiet)
    assert caught.value.reason == "address"


async def test_t3_a_force_refresh_ignores_mosta_net_api_key(anyio_backend: str, server: AuthorizationServer) -> None:
    """The variable's key may be the one that was refused."""
    async with source({"MOSTA_NET_URL": server.url, "MOSTA_NET_API_KEY": "stale"}) as keys_of:
        assert await keys_of.ensure_api_key(on_code_issued=quiet, force_refresh=True) in server.keys
        assert await keys_of.ensure_api_key() == "stale"


async def test_t3_b_force_refresh_ignores_the_opt_out_and_the_cache(
    anyio_backend: str, server: AuthorizationServer
) -> None:
    """Whoever asks for it has been refused already; the new key takes the place of the old one."""
    store = MemoryStore(token(server.url))
    async with source({"MOSTA_NET_URL": server.url, "MOSTA_NO_AUTOREGISTER": "true"}) as keys_of:
        key = await keys_of.ensure_api_key(store=store, on_code_issued=quiet, force_refresh=True)
        assert key in server.keys
        assert await keys_of.ensure_api_key(store=store) == key
    assert server.flows == 1


async def test_t4_clear_cached_api_key_is_a_tolerant_no_op(anyio_backend: str, home: Path) -> None:
    """Nothing is there: neither an error nor a folder comes of it."""
    async with source({}) as keys_of:
        await keys_of.clear_cached_api_key()
        await keys_of.clear_cached_api_key(host="orphan-care")
    assert not home.exists()


async def test_t4_clear_cached_api_key_makes_the_next_call_ask_again(
    anyio_backend: str, server: AuthorizationServer
) -> None:
    """Of the host that it names, and of no other."""
    async with source({"MOSTA_NET_URL": server.url}) as keys_of:
        keys = [await keys_of.ensure_api_key(on_code_issued=quiet, host=host) for host in ("a", "b")]
        await keys_of.clear_cached_api_key(host="a")
        assert await keys_of.ensure_api_key(host="b") == keys[1]
        assert await keys_of.ensure_api_key(on_code_issued=quiet, host="a") not in keys
    assert server.flows == 3
