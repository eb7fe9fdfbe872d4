"""What the tests of the client share: sources with a folder of their own, stores in memory, a terminal to look at."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from objectkernel import ObjectKernel
from objectkernel.secret import Secret
from objectkernel_device_auth.client_config import ApiKeySourceConfig
from objectkernel_device_auth.client_plugin import ApiKeySourcePlugin
from objectkernel_device_auth.contracts import StoredToken
from objectkernel_device_auth.key_source import KeySource
from objectkernel_device_auth.terminal import Terminal


class Screen(io.TextIOWrapper):
    """A stream that says whether it is a terminal."""

    def __init__(self, *, terminal: bool = True, encoding: str = "utf-8") -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding=encoding, newline="")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def getvalue(self) -> str:
        """What was written."""
        return self._bytes.getvalue().decode(self.encoding)


class MemoryStore:
    """A `TokenStore` that counts."""

    def __init__(self, *tokens: StoredToken) -> None:
        self.kept = {(token.issuer, token.client_id, token.scope): token for token in tokens}
        self.saved = 0

    async def load(self, issuer: str, client_id: str, scope: str) -> StoredToken | None:
        return self.kept.get((issuer, client_id, scope))

    async def save(self, token: StoredToken) -> None:
        self.saved += 1
        self.kept[token.issuer, token.client_id, token.scope] = token

    async def clear(self) -> None:
        self.kept.clear()


def settings(**given: Any) -> ApiKeySourceConfig:
    """Settings; texts of secret ones are wrapped."""
    for name in ("net_api_key", "auth_flow_url", "net_url"):
        if isinstance(given.get(name), str):
            given[name] = Secret(given[name])
    return ApiKeySourceConfig(**given)


def key_source(screen: Screen | None = None, **given: Any) -> KeySource:
    """A source whose terminal is `screen`; without one there is no terminal."""
    return KeySource(settings(**given), terminal=Terminal(screen or Screen(terminal=False), {}))


def kernel(environ: Mapping[str, str], *plugins: Any, **options: Any) -> ObjectKernel:
    """A kernel with the client's plugin, whose settings come from this environment alone."""
    return ObjectKernel(plugins=[ApiKeySourcePlugin, *plugins], discover=False, environ=environ, **options)


def token(issuer: str, *, ends: float | None = 3600, **changes: Any) -> StoredToken:
    """A kept token that ends in so many seconds."""
    made = StoredToken(
        access_token=Secret("kept-key"),
        issuer=issuer,
        client_id="objectkernel-cli",
        expires_at=None if ends is None else datetime.now(UTC) + timedelta(seconds=ends),
    )
    return attrs.evolve(made, **changes)


@pytest.fixture
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The platform's configuration folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "config"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client polls as fast as the server says, and tries again at once."""
    monkeypatch.setattr("objectkernel_device_auth.device_client.LEAST", 0.0)
    monkeypatch.setattr("objectkernel_device_auth.client_discovery.FIRST_PAUSE", 0.01)
