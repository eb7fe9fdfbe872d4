"""The settings of who asks for a key."""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
from attrs.validators import ge, le
from objectkernel.secret import Secret

DEFAULT_CLIENT: Final = "objectkernel-cli"
DEFAULT_HOST: Final = "objectkernel"
LONGEST_LIFE: Final = 3600.0
"""Seconds: nobody waits longer for an approval, whatever the server says."""
FOLDER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


def folder_name(name: str) -> str:
    """The name itself, if it can be that of a folder everywhere.

    Raises:
        ValueError: it cannot.
    """
    if FOLDER.fullmatch(name) is None or name.endswith("."):
        raise ValueError(
            f"{name!r} cannot be the name of a folder: give at most 64 of the characters A-Z a-z 0-9 . _ -, "
            "with a letter, a digit or _ at the beginning and no point at the end"
        )
    return name


def _folder(settings: Any, option: attrs.Attribute[Any], value: str) -> None:
    folder_name(value)


def _client(name: str) -> str:
    return name or DEFAULT_CLIENT


def _host(name: str) -> str:
    return name or DEFAULT_HOST


@attrs.frozen(kw_only=True)
class ApiKeySourceConfig:
    """Where a host's key comes from. An empty text counts as not set.

    Attributes:
        net_api_key: the key itself; it is used as it is.
        no_autoregister: do not ask for a key by a device flow; a kept one is used, and renewed.
        auth_flow_url: the authorization server; by default `net_url`. Its path is kept.
        net_url: the server of the data.
        client_id: as whom to ask.
        scope: what to ask for, blank-separated; the server's default without one.
        host: the folder of ``auth.json`` below the platform's configuration folder.
        wait: ask for a key also where no terminal is: URL and code are printed, and somebody has to read them.
        insecure_http: take http:// also for other machines. Keys can be read on the way then.
        timeout: seconds that the server has for one answer.
    """

    net_api_key: Secret[str] | None = attrs.field(default=None, metadata={"env": "MOSTA_NET_API_KEY"})
    no_autoregister: bool = attrs.field(default=False, metadata={"env": "MOSTA_NO_AUTOREGISTER"})
    auth_flow_url: Secret[str] | None = attrs.field(default=None, metadata={"env": "MOSTA_AUTH_FLOW_URL"})
    net_url: Secret[str] | None = attrs.field(default=None, metadata={"env": "MOSTA_NET_URL"})
    client_id: str = attrs.field(
        default=DEFAULT_CLIENT,
        converter=_client,
        metadata={"env": "MOSTA_CLIENT_ID"},
    )
    scope: str = ""
    host: str = attrs.field(
        default=DEFAULT_HOST,
        converter=_host,
        validator=_folder,
        metadata={"env": "MOSTA_HOST"},
    )
    wait: bool = False
    insecure_http: bool = False
    timeout: float = attrs.field(default=15.0, validator=[ge(0.1), le(300)])
