"""Renewal, many callers at once, and what is said where no key can be had or kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
import time_machine
from objectkernel.secret import Secret
from objectkernel_device_auth import key_source as module
from objectkernel_device_auth.client_errors import not_kept
from objectkernel_device_auth.contracts import AuthorizationFailed, CodeIssued, StoredToken
from objectkernel_device_auth.token_file import FileTokenStore

from tests.plugins.device_auth.authorization_server import AuthorizationServer, authorization_server
from tests.plugins.device_auth.client_side import MemoryStore, Screen, key_source, token

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("home", "quick")]


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    """An authorization server that lets everybody in."""
    with authorization_server() as server:
        yield server


def quiet(code: CodeIssued) -> None:
    """Somebody is there to see the code."""


def kept(server: AuthorizationServer, **changes: Any) -> StoredToken:
    """A token that the server has issued."""
    server.keys.add("kept-key")
    server.refreshes.add("kept-refresh")
    return token(server.url, **{"refresh_token": Secret("kept-refresh"), **changes})


# --- renewal ------------------------------------------------------------------------------------------


async def test_a_kept_key_that_has_ended_is_renewed(anyio_backend: str, server: AuthorizationServer) -> None:
    """Nobody is asked, also where asking is opted out of: the approval is still good."""
    store = MemoryStore(kept(server, ends=30))
    source = key_source(net_url=server.url, no_autoregister=True)
    key = await source.ensure_api_key(store=store)
    assert key in server.keys and key != "kept-key"
    assert server.flows == 0
    assert await source.ensure_api_key(store=store) == key
    assert server.calls["/token"] == 1


async def test_force_refresh_takes_the_refresh_token_first(anyio_backend: str, server: AuthorizationServer) -> None:
    """Without a terminal too; a key that the store thinks good does not count."""
    store = MemoryStore(kept(server))
    key = await key_source(net_url=server.url).ensure_api_key(store=store, force_refresh=True)
    assert key in server.keys and key != "kept-key"
    assert server.flows == 0


async def test_force_refresh_asks_where_renewal_has_ended(anyio_backend: str, server: AuthorizationServer) -> None:
    """A refresh token that was revoked is no end."""
    store = MemoryStore(kept(server, refresh_token=Secret("revoked")))
    key = await key_source(net_url=server.url).ensure_api_key(store=store, force_refresh=True, on_code_issued=quiet)
    assert key in server.keys
    assert (server.flows, next(form["grant_type"] for form in server.sent("/token"))) == (1, "refresh_token")


async def test_where_renewal_has_ended_the_opt_out_counts(anyio_backend: str, server: AuthorizationServer) -> None:
    """Nobody is asked who was not to be asked."""
    store = MemoryStore(kept(server, ends=0, refresh_token=Secret("revoked")))
    with pytest.raises(AuthorizationFailed) as caught:
        await key_source(net_url=server.url, no_autoregister=True).ensure_api_key(store=store, on_code_issued=quiet)
    assert (caught.value.reason, server.flows, server.calls["/token"]) == ("opted-out", 0, 1)


async def test_a_renewal_keeps_what_the_answer_leaves_out(anyio_backend: str, server: AuthorizationServer) -> None:
    """No new refresh token: the old one stays good; no scope: it is as it was (RFC 6749 sections 5.1 and 6)."""
    server.renewable = False
    store = MemoryStore(kept(server, ends=0, scope="a b", granted_scope="a"))
    await key_source(net_url=server.url, scope="b a").ensure_api_key(store=store)
    (renewed,) = store.kept.values()
    assert (renewed.refresh_token, renewed.scope, renewed.granted_scope) == (Secret("kept-refresh"), "a b", "a")


async def test_a_renewal_that_cannot_be_had_asks_nobody(anyio_backend: str) -> None:
    """A server that is down is no reason for a person to approve anything; the kept token stays."""
    with authorization_server() as gone:
        store = MemoryStore(kept(gone, ends=0))
    with pytest.raises(AuthorizationFailed) as caught:
        await key_source(net_url=gone.url).ensure_api_key(store=store, on_code_issued=quiet)
    assert caught.value.reason == "unreachable"
    assert next(iter(store.kept.values())).refresh_token == Secret("kept-refresh")


async def test_time_passes_for_a_kept_key(anyio_backend: str, server: AuthorizationServer) -> None:
    """It is used until a minute before its end, then renewed."""
    source = key_source(net_url=server.url)
    first = await source.ensure_api_key(on_code_issued=quiet)
    now = datetime.now(UTC)
    with time_machine.travel(now + timedelta(seconds=3500)):
        assert await source.ensure_api_key() == first
    with time_machine.travel(now + timedelta(seconds=3545)):
        assert await source.ensure_api_key() != first
    assert (server.flows, len(server.sent("/token"))) == (1, 3)


# --- no terminal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
async def test_item_38_without_a_terminal_it_fails_fast(
    anyio_backend: str, server: AuthorizationServer, force: bool
) -> None:
    """No code is asked for that nobody could read; the error says what to set and what to run."""
    with pytest.raises(AuthorizationFailed) as caught:
        await key_source(net_url=server.url).ensure_api_key(force_refresh=force)
    assert caught.value.reason == "no-terminal"
    for word in ("MOSTA_NET_API_KEY", "objectkernel login", "OBJECTKERNEL_PLUGINS__API_KEY_SOURCE__WAIT"):
        assert word in caught.value.fix
    assert server.origin.removeprefix("http://") in caught.value.what
    assert server.flows == 0


async def test_item_38_it_waits_where_it_is_told_to(anyio_backend: str, server: AuthorizationServer) -> None:
    """Plain lines are printed for whoever reads the log; the key is not among them."""
    screen = Screen(terminal=False)
    key = await key_source(screen, net_url=server.url, wait=True).ensure_api_key()
    text = screen.getvalue()
    assert f"{server.url}/device\n" in text and "BCDF-GHJK\n" in text
    assert "\r" not in text
    assert key not in text


async def test_item_38_the_key_is_never_shown(
    anyio_backend: str, server: AuthorizationServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither on the terminal nor in the log nor by the objects that have it."""
    screen, store = Screen(), MemoryStore()
    with caplog.at_level(logging.DEBUG):
        source = key_source(screen, net_url=server.url)
        key = await source.ensure_api_key(store=store)
        await source.ensure_api_key(store=store, force_refresh=True)
    secrets = {key, *server.keys, *server.refreshes, *server.codes}
    assert len(secrets) >= 4
    shown = screen.getvalue() + caplog.text + repr(store.kept)
    assert not [secret for secret in secrets if secret in shown]


async def test_who_shows_the_code_may_take_time_for_it(anyio_backend: str, server: AuthorizationServer) -> None:
    """A coroutine is awaited; the terminal is left alone."""
    screen, seen = Screen(), []

    async def show(code: CodeIssued) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(code.verification_uri)

    await key_source(screen, net_url=server.url).ensure_api_key(on_code_issued=show)
    assert (seen, screen.getvalue()) == ([f"{server.url}/device"], "")


@pytest.mark.parametrize("decision", ["access_denied", "expired_token"])
async def test_a_denied_request_leaves_no_trace_on_the_terminal(
    anyio_backend: str, server: AuthorizationServer, decision: str
) -> None:
    """The countdown is taken away, and nothing is kept."""
    server.decision = decision
    screen, store = Screen(), MemoryStore()
    with pytest.raises(AuthorizationFailed) as caught:
        await key_source(screen, net_url=server.url).ensure_api_key(store=store)
    assert caught.value.reason in ("denied", "expired")
    assert screen.getvalue().endswith("\r")
    assert not store.kept


async def test_a_flow_that_is_cancelled_can_be_begun_anew(anyio_backend: str, server: AuthorizationServer) -> None:
    """Neither a lock nor a half file is left behind."""
    server.approve_after = None
    source = key_source(Screen(), net_url=server.url)
    with anyio.move_on_after(0.3):
        await source.ensure_api_key()
    server.approve_after = 0
    assert await source.ensure_api_key() in server.keys
    assert {path.name for path in source.store().folder.iterdir()} == {"auth.json", "auth.json.lock"}


# --- many at once -------------------------------------------------------------------------------------


async def test_item_36_many_callers_get_one_key(anyio_backend: str, server: AuthorizationServer) -> None:
    """Whether they come by one service or by several that share the folder: one flow."""
    sources = [key_source(net_url=server.url) for _ in range(2)]
    keys: list[str] = []

    async def caller(number: int) -> None:
        keys.append(await sources[number % 2].ensure_api_key(on_code_issued=quiet))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(caller, number)
    assert (len(keys), len(set(keys)), server.flows) == (20, 1, 1)


async def test_item_36_many_refused_callers_get_one_renewal(anyio_backend: str, server: AuthorizationServer) -> None:
    """All were given the same key before and refused with it; several services renew it once as well."""
    sources = [key_source(net_url=server.url) for _ in range(3)]
    for source in sources:
        await source.ensure_api_key(on_code_issued=quiet)
    keys: list[str] = []

    async def caller(number: int) -> None:
        keys.append(await sources[number % 3].api_key(refresh=True))

    async with anyio.create_task_group() as tasks:
        for number in range(21):
            tasks.start_soon(caller, number)
    renewals = [form for form in server.sent("/token") if form["grant_type"] == "refresh_token"]
    assert (len(set(keys)), server.flows, len(renewals)) == (1, 1, 1)


async def test_a_key_that_was_renewed_by_another_is_taken(anyio_backend: str, server: AuthorizationServer) -> None:
    """Also when that is done before the refusal comes: what was given is compared with what is kept now."""
    one, other = key_source(net_url=server.url), key_source(net_url=server.url)
    await one.ensure_api_key(on_code_issued=quiet)
    await other.ensure_api_key()
    renewed = await one.api_key(refresh=True)
    assert await other.api_key(refresh=True) == renewed
    assert await other.api_key(refresh=True) != renewed  # this one was refused too


async def test_one_denial_answers_all(anyio_backend: str, server: AuthorizationServer) -> None:
    """Twenty tasks that need a key do not ask twenty times."""
    server.decision, server.interval = "access_denied", 0.2
    source = key_source(net_url=server.url)
    reasons: list[str] = []

    async def caller() -> None:
        try:
            await source.ensure_api_key(on_code_issued=quiet)
        except AuthorizationFailed as error:
            reasons.append(error.reason)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(caller)
    assert (reasons, server.flows) == (["denied"] * 20, 1)


async def test_who_can_show_a_code_does_not_fail_with_who_cannot(
    anyio_backend: str, server: AuthorizationServer
) -> None:
    """One caller has nobody to ask, another has: the latter gets its key."""
    source, store = key_source(net_url=server.url), MemoryStore()
    outcomes: list[str] = []

    async def alone() -> None:
        try:
            await source.ensure_api_key(store=store)
        except AuthorizationFailed as error:
            outcomes.append(error.reason)

    async def accompanied() -> None:
        assert await source.ensure_api_key(store=store, on_code_issued=quiet) in server.keys

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alone)
        tasks.start_soon(accompanied)
    assert outcomes == ["no-terminal"]


async def test_who_waits_for_another_process_is_told(
    anyio_backend: str, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And takes what the other has got."""
    monkeypatch.setattr(module, "SHORT_WAIT", 0.1)
    screen = Screen()
    source = key_source(screen, net_url=server.url)
    other = FileTokenStore(source.store().folder)

    async def caller() -> None:
        assert await source.ensure_api_key() == "kept-key"

    async with anyio.create_task_group() as tasks, other.exclusive():
        tasks.start_soon(caller)
        with anyio.fail_after(20):
            while "Another process" not in screen.getvalue():
                await anyio.sleep(0.02)
        await other.save(token(server.url))
    assert server.flows == 0


async def test_without_a_terminal_nobody_waits_for_a_person(
    anyio_backend: str, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal of another process is waited for, and an approval is not."""
    monkeypatch.setattr(module, "SHORT_WAIT", 0.05)
    monkeypatch.setattr(module, "RENEWED_BY", 0.1)
    source = key_source(net_url=server.url)
    async with FileTokenStore(source.store().folder).exclusive():
        with pytest.raises(AuthorizationFailed) as caught:
            await source.ensure_api_key()
    assert caught.value.reason == "elsewhere"


# --- keeping ------------------------------------------------------------------------------------------


async def test_a_folder_that_takes_nothing_is_told_before_anybody_is_asked(
    anyio_backend: str, server: AuthorizationServer, home: Path
) -> None:
    """A person's approval is not wasted, and a refresh token not spent."""
    home.write_text("a file, where the folder would be")
    with pytest.raises(AuthorizationFailed) as caught:
        await key_source(net_url=server.url, host="x").ensure_api_key(on_code_issued=quiet)
    assert caught.value.reason == "not-kept"
    assert sum(server.calls.values()) == 0


async def test_a_key_that_cannot_be_kept_is_told_and_used(
    anyio_backend: str,
    server: AuthorizationServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The disk fills up meanwhile: the key serves until the process ends, and is renewed with what it came with."""

    async def full(self: FileTokenStore, kept: StoredToken) -> None:
        raise not_kept("the folder", "No space left on device", received=True)

    monkeypatch.setattr(FileTokenStore, "save", full)
    source = key_source(net_url=server.url)
    key = await source.ensure_api_key(on_code_issued=quiet)
    assert "a key was received and cannot be kept" in caplog.text and "No space left" in caplog.text
    assert key not in caplog.text
    assert await source.ensure_api_key() == key
    monkeypatch.undo()
    renewed = await source.ensure_api_key(force_refresh=True)
    assert server.flows == 1
    assert [one.access_token.reveal() for one in await source.store().tokens()] == [renewed]


async def test_a_store_that_fails_costs_no_key(
    anyio_backend: str, server: AuthorizationServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises: the key is returned, and the loss is in the log."""

    class Failing(MemoryStore):
        async def save(self, token: StoredToken) -> None:
            raise LookupError(token.access_token.reveal())

    key = await key_source(net_url=server.url).ensure_api_key(store=Failing(), on_code_issued=quiet)
    assert key in server.keys
    assert "LookupError" in caplog.text and key not in caplog.text


async def test_the_key_of_another_server_is_not_shown_to_this_one(
    anyio_backend: str, server: AuthorizationServer
) -> None:
    """A store that looks at nothing gives what it has; it is not taken."""

    class Careless(MemoryStore):
        async def load(self, issuer: str, client_id: str, scope: str) -> StoredToken | None:
            return token("https://other.example")

    key = await key_source(net_url=server.url).ensure_api_key(store=Careless(), on_code_issued=quiet)
    assert key in server.keys


async def test_what_was_granted_is_kept_beside_what_was_asked_for(
    anyio_backend: str, server: AuthorizationServer
) -> None:
    """The next call finds it by what it asks for, in whichever order."""
    server.granted = "data:read"
    source = key_source(net_url=server.url)
    key = await source.ensure_api_key(scope="data:write  data:read", on_code_issued=quiet)
    assert await source.ensure_api_key(scope="data:read data:write") == key
    (one,) = await source.store().tokens()
    assert (one.scope, one.granted_scope) == ("data:read data:write", "data:read")
    assert server.sent("/device_authorization")[0]["scope"] == "data:read data:write"


@pytest.mark.parametrize("host", ["../elsewhere", "a/b", ".hidden", "x" * 65, "nul\0"])
async def test_a_host_that_is_no_name_of_a_folder_is_refused(anyio_backend: str, home: Path, host: str) -> None:
    """Nothing is written outside of the configuration folder."""
    with pytest.raises(AuthorizationFailed) as caught:
        await key_source(net_url="https://auth.example").ensure_api_key(host=host, on_code_issued=quiet)
    assert caught.value.reason == "not-kept"
    assert not home.exists()


async def test_whoever_waits_for_an_approval_gets_time_for_it(anyio_backend: str, server: AuthorizationServer) -> None:
    """As long as the code is good, and a little more."""
    told: list[float] = []
    config = attrs.evolve(key_source(net_url=server.url)._config)
    source = module.KeySource(config, more_time=told.append)
    await source.ensure_api_key(on_code_issued=quiet)
    await source.ensure_api_key(force_refresh=True)  # renewed: nobody is waited for
    assert told == [120.0]
