"""The scopes of the routes."""

from __future__ import annotations

from typing import Final

from objectkernel_contracts import GrantableScope

READ: Final = "packages:read"
WRITE: Final = "packages:write"
INSTALL: Final = "packages:install"

MAY_READ: Final = GrantableScope(
    name=READ,
    description="See and download packages",
    role="viewer",
    translations={"fr": "Voir et télécharger des paquets"},
)
MAY_WRITE: Final = GrantableScope(
    name=WRITE,
    description="Publish, change and delete packages",
    role="member",
    translations={"fr": "Publier, changer et supprimer des paquets"},
)
MAY_INSTALL: Final = GrantableScope(
    name=INSTALL,
    description="Install packages into this host, and remove them",
    role="operator",
    translations={"fr": "Installer des paquets sur cet hôte et les retirer"},
)
