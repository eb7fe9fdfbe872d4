"""Serving a kernel from a program of one's own."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest
from objectkernel import ObjectKernel
from objectkernel.errors import BootError, KernelError
from objectkernel_http.config import HttpConfig
from objectkernel_http.errors import AddressUnusable
from objectkernel_http.hosting import serve, settings_of
from objectkernel_http.plugin import HttpPlugin

from tests.contrib.http.shops import Shop
from tests.contrib.http.test_application import Broken


def kernel_with(*plugins: Any, **settings: Any) -> ObjectKernel:
    """A kernel whose plugin `http` has these settings."""
    config = {"plugins": {"http": settings}} if settings else None
    return ObjectKernel(plugins=plugins, discover=False, config=config)


def test_a_program_serves_until_its_kernel_stops() -> None:
    """It is told the address once requests are answered there, and goes on when everything has stopped."""
    kernel = kernel_with(HttpPlugin, Shop(), port=1, title="shop", access_log=False)
    answers: list[Any] = []
    asking: list[asyncio.Task[None]] = []

    async def ask(address: str) -> None:
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            answers.append((await client.get("/ledger")).json())
            answers.append((await client.get("/openapi.json")).json()["info"]["title"])
        await kernel.shutdown()

    serve(kernel, lambda address: asking.append(asyncio.ensure_future(ask(address))), port=0)
    assert asking[0].done()
    assert answers == [{"by": None}, "shop"]
    assert kernel.state == "stopped"


def test_a_boot_that_fails_is_raised() -> None:
    """And the address is free again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(BootError):
        serve(kernel_with(Broken()), port=port)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_nothing_is_booted_where_nobody_can_listen() -> None:
    """The kernel is as it was."""
    kernel = kernel_with(Shop())
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(AddressUnusable):
        serve(kernel, port=other.getsockname()[1])
    assert kernel.state == "idle"


@pytest.mark.parametrize("logs", [False, True])
def test_the_log_is_shaped_for_those_who_ask(monkeypatch: pytest.MonkeyPatch, logs: bool) -> None:
    """As the settings say; it is the program's own otherwise."""
    shapes: list[tuple[str, bool]] = []
    monkeypatch.setattr("objectkernel_http.hosting.configure_logs", lambda *shape: shapes.append(shape))
    with pytest.raises(BootError):
        serve(kernel_with(HttpPlugin, Broken(), log_format="json"), port=0, logs=logs, access_log=False)
    assert shapes == ([("json", False)] if logs else [])


@pytest.mark.parametrize(("options", "error"), [({"port": -1}, ValueError), ({"prot": 8000}, TypeError)])
def test_an_option_that_is_none(options: dict[str, Any], error: type[Exception]) -> None:
    """It is refused by its name."""
    with pytest.raises(error, match=next(iter(options))):
        serve(kernel_with(Shop()), **options)


def test_settings_are_the_plugins() -> None:
    """As they are configured; a kernel without the plugin has the defaults."""
    assert settings_of(kernel_with(HttpPlugin, port=8123)) == HttpConfig(port=8123)
    assert settings_of(kernel_with(HttpPlugin)) == HttpConfig()
    assert settings_of(kernel_with(Shop())) == HttpConfig()


def test_settings_that_are_refused() -> None:
    """With the kernel's own report."""
    with pytest.raises(KernelError, match="port"):
        settings_of(kernel_with(HttpPlugin, port="eight"))
