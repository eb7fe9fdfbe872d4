"""What a credential may be granted about projects."""

from __future__ import annotations

from typing import Final

from objectkernel_contracts import GrantableScope

MAY_READ: Final = GrantableScope(
    name="projects:read",
    description="See the account's projects",
    role="viewer",
    translations={"fr": "Voir les projets du compte"},
)
MAY_WRITE: Final = GrantableScope(
    name="projects:write",
    description="Make, change, pause and end projects",
    role="admin",
    translations={"fr": "Créer, modifier, suspendre et supprimer des projets"},
)
