"""A connection string is nowhere to be read: not in logs, errors, settings, findings, nor on the command line."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from objectkernel import BootError
from objectkernel_system_dialect.contracts import DATA_PLUG, DIALECT, SYSTEM_DIALECT, DataError

from tests.plugins.system_dialect.databases import Cuttable
from tests.plugins.system_dialect.kernels import ORDER, shop
from tests.plugins.system_dialect.test_opening import everything

SECRET = "hunter2"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that PostgreSQL's driver knows."""
    return "asyncio"


def with_password(url: str) -> str:
    """The URL with a password that the server does not ask for."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{SECRET}@{parts.hostname}:{parts.port}").geturl()


@pytest.mark.anyio
@pytest.mark.postgres
async def test_a_life_with_a_password_shows_it_nowhere(
    anyio_backend: str, cuttable: Cuttable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Boot, use, loss, return, failed changes and end, with every logger at its most talkative."""
    url = with_password(cuttable.url)
    environ = {"SGBD_URI": url, "MOSTA_SYSTEM_DIALECT": "postgres", "MOSTA_SYSTEM_URI": url}
    told: list[str] = []
    with caplog.at_level(logging.DEBUG):
        async with shop(environ) as kernel:
            plug = kernel.get(DATA_PLUG)
            await kernel.get(DIALECT).create(ORDER, {"total": 1})
            cuttable.cut()
            for operation in (
                lambda: kernel.get(DIALECT).count(ORDER),
                kernel.get(SYSTEM_DIALECT).ping,
                plug.reconnect,
                lambda: plug.change_dialect("postgres", f"{url}?{SECRET}={SECRET}&sslmode={SECRET}"),
                lambda: plug.change_dialect("mariadb", f"mysql://{SECRET}:{SECRET}@127.0.0.1:1/x"),
                lambda: plug.open_isolated_dialect("postgres", url),
            ):
                with pytest.raises(DataError) as caught:
                    await operation()
                told.append(everything(caught.value))
            told += [repr(await kernel.health()), repr(kernel.get(DIALECT)), repr(plug), repr(kernel.findings())]
            told.append(repr(kernel.compose().configuration))
            cuttable.mend()
            assert await kernel.get(DIALECT).count(ORDER) == 1
        cuttable.cut()
        with pytest.raises(BootError) as failed:
            async with shop(environ):
                pass
        told.append(everything(failed.value))
    assert [text for text in told if SECRET in text] == []
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "environ",
    [
        {"SGBD_URI": f"postgresql://ada:{SECRET}@127.0.0.1:1/shop"},
        {"SGBD_URI": f"postgresql://ada:{SECRET}@127.0.0.1:1/shop", "DB_DIALECT": "mysql"},
        {"SGBD_URI": f"mysql://ada:{SECRET}@127.0.0.1:1/shop"},
        {"MOSTA_SYSTEM_DIALECT": "mariadb", "MOSTA_SYSTEM_URI": f"mysql://ada:{SECRET}@127.0.0.1:1/shop"},
        {"MOSTA_DATA": "net", "MOSTA_NET_URL": f"http://ada:{SECRET}@127.0.0.1:1/", "MOSTA_NET_API_KEY": SECRET},
        {"SGBD_URI": f"nonsense://ada:{SECRET}@127.0.0.1"},
    ],
    ids=["postgres", "contradiction", "mariadb", "system", "net", "nonsense"],
)
@pytest.mark.parametrize("command", [("config",), ("-vv", "doctor")], ids=" ".join)
@pytest.mark.slow
def test_the_command_line_shows_no_connection_string(
    tmp_path: Path, environ: dict[str, str], command: tuple[str, ...]
) -> None:
    """`objectkernel config` has it as ``***``, and what `doctor` finds wrong is told without it."""
    clean = {name: value for name, value in os.environ.items() if name not in ("SGBD_URI", "MOSTA_ENV")}
    ran = subprocess.run(
        [sys.executable, "-m", "objectkernel_cli", *command], cwd=tmp_path, env=clean | environ, capture_output=True
    )
    printed = (ran.stdout + ran.stderr).decode()
    assert printed
    assert SECRET not in printed
    assert ran.returncode != 0 or command == ("config",)
