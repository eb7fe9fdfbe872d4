"""The scopes of the routes."""

from __future__ import annotations

from typing import Final

from objectkernel_contracts import GrantableScope

READ: Final = "media:read"
WRITE: Final = "media:write"

MAY_READ: Final = GrantableScope(
    name=READ,
    description="See and play recordings",
    role="viewer",
    translations={"fr": "Voir et lire des enregistrements"},
)
MAY_WRITE: Final = GrantableScope(
    name=WRITE,
    description="Make and delete recordings",
    role="member",
    translations={"fr": "Créer et supprimer des enregistrements"},
)
