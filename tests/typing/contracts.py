"""The services of the typed examples: a Protocol, an ABC and plain classes under their keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import attrs
from objectkernel import Extension, Secret, Service


class Ledger(Protocol):
    """A service as its users know it."""

    def balance(self, account: str) -> int: ...


class Cache(ABC):
    """A service that its providers inherit from."""

    @abstractmethod
    def read(self, key: str) -> bytes | None: ...


class Database:
    """A service that is one class."""


class Tenant:
    """What a request comes with."""


class Session:
    """What lives as long as a request."""


class Rule:
    """What other plugins may add."""


@attrs.frozen(kw_only=True)
class BillingConfig:
    """The settings of the example plugin."""

    currency: str = "EUR"
    token: Secret[str] | None = None


@attrs.frozen(kw_only=True)
class OrderPaid:
    """What happened."""

    order: str


class OrderSent:
    """What happened then."""


class MemoryLedger:
    """A `Ledger` that does not say so."""

    def balance(self, account: str) -> int:
        return len(account)


class MemoryCache(Cache):
    """A `Cache`."""

    def read(self, key: str) -> bytes | None:
        return None


DATABASE = Service[Database]("example.database", version="1.2")
LEDGER = Service[Ledger]("example.ledger")
CACHE = Service[Cache]("example.cache")
TENANT = Service[Tenant]("example.tenant", scope="request")
SESSION = Service[Session]("example.session")
RULES = Extension[Rule]("example.rules")
