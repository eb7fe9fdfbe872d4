"""How the operations of `NetDialect` travel: a `Transport`, and which ones there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

import attrs
from objectkernel.errors import nearest
from objectkernel.secret import Secret

from objectkernel_system_dialect.data_plug import KeyRenewal
from objectkernel_system_dialect.errors import DialectUnsupported


@attrs.frozen(kw_only=True)
class NetOptions:
    """A server of data, and how patiently it is asked.

    Attributes:
        url: its address, what stands before ``/api/v1/data``; a path is kept, with or without a slash at its end.
            With ``/api/v1/data`` at its end it means the same.
        api_key: shown with every request.
        on_api_key_invalid: asked once for another key when the server refuses the present one.
        timeout: seconds to wait for a connection, and for each part of an answer.
        attempts: how often a request is sent before it has failed.
    """

    url: Secret[str]
    api_key: Secret[str] | None = None
    on_api_key_invalid: KeyRenewal | None = None
    timeout: float = 30.0
    attempts: int = 4


@attrs.frozen(kw_only=True)
class Call:
    """One operation of `rest_api.ROUTES`, with everything as JSON has it.

    Attributes:
        operation: its name.
        entity: the entity's `rest_api.path_name`.
        key: the parts of a row's key.
        arguments: what it takes.
        version: the version that the row must have.
        tenant: for whom it is done.
    """

    operation: str
    entity: str
    key: tuple[Any, ...] | None = None
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    version: int | None = None
    tenant: str | None = None


class Transport(Protocol):
    """A way to a server of data. Every failure is an error of data access; nothing is ever read into one."""

    @property
    def place(self) -> str:
        """How messages call the server: without credentials."""
        ...

    async def describe(self) -> Any:
        """What the server says of itself: ``capabilities``, ``page_max``, ``entities`` by name."""
        ...

    async def call(self, call: Call) -> Any:
        """The operation's answer, or None where there is no row with the key.

        Raises:
            DataError: what the server answered, as the class that its dialect raised; `DatabaseUnavailable`: it did
                not answer, or not as it should; `AccessDenied`: it refuses the key.
        """
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


TransportMaker: TypeAlias = Callable[[NetOptions], Transport]


def _rest(options: NetOptions) -> Transport:
    made: Transport = import_module("objectkernel_system_dialect.rest_transport").RestTransport(options)
    return made


KNOWN: Final = ("rest", "graphql", "grpc", "ws", "mcp")
TRANSPORTS: Final[Mapping[str, TransportMaker]] = MappingProxyType({"rest": _rest})
"""The transports that come along."""


def transport_maker(name: str, transports: Mapping[str, TransportMaker] = TRANSPORTS) -> TransportMaker:
    """The maker of a transport.

    Raises:
        DialectUnsupported: nobody offers it.
    """
    if name in transports:
        return transports[name]
    usable = ", ".join(transports)
    near = nearest(name, (*transports, *KNOWN), 1)
    what = f"the transport {name!r} is known, but nothing here offers it"
    if name not in KNOWN:
        what = f"there is no transport {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    raise DialectUnsupported(
        what,
        why=f"usable now: {usable}",
        fix=f"set MOSTA_NET_TRANSPORT to one of {usable}",
        name=name,
        near=near,
    )
