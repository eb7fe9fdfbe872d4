"""The scopes that keys can have, and those over the keys themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from objectkernel_contracts import OPERATE, GrantableScope

from objectkernel_device_auth.errors import InvalidRequest

READ: Final = "keys:read"
WRITE: Final = "keys:write"
MANAGE: Final = "keys:manage"

MAY_READ: Final = GrantableScope(
    name=READ,
    description="See your keys and devices",
    role="viewer",
    translations={"fr": "Voir vos clés et vos appareils"},
)
MAY_WRITE: Final = GrantableScope(
    name=WRITE,
    description="Make and end keys of yours",
    role="viewer",
    translations={"fr": "Créer et révoquer vos clés"},
)
MAY_MANAGE: Final = GrantableScope(
    name=MANAGE,
    description="See and end everybody's keys, make keys of the account",
    role="admin",
    translations={"fr": "Voir et révoquer les clés de tous, créer des clés du compte"},
)
OVER_KEYS: Final = frozenset((READ, WRITE, MANAGE))
OF_OPERATORS: Final = GrantableScope(
    name=OPERATE, description="Run this host", role="operator", translations={"fr": "Administrer cet hôte"}
)


class KnownScopes:
    """The scopes that the host's plugins know.

    Attributes:
        all: by name.
        device: those that the device flow may grant.
    """

    def __init__(self, scopes: Iterable[GrantableScope], device: Iterable[str] = ()) -> None:
        """See `DeviceAuthConfig.device_scopes`.

        Raises:
            InvalidRequest: one of `device` is not known, so that it is not clear what may be granted.
        """
        self.all: dict[str, GrantableScope] = {scope.name: scope for scope in (OF_OPERATORS, *scopes)}
        usual = (name for name, scope in self.all.items() if scope.role != "operator" and name not in OVER_KEYS)
        self.device = frozenset(device) or frozenset(usual)
        unknown = sorted(self.device - self.all.keys())
        if unknown:
            raise InvalidRequest(
                f"the setting device_scopes names {', '.join(unknown)}, which no plugin knows",
                why=f"the scopes are {', '.join(sorted(self.all))}",
                fix="name only these, or none",
            )
