"""What plugins and hosts of objectkernel share, so that neither imports the other."""

from objectkernel_contracts.access import Access, Public, Scope, access_of, public, requires
from objectkernel_contracts.accounts import AccountDeleting
from objectkernel_contracts.audit import AUDIT, OFFLINE_AUDIT, Audit, OfflineAudit
from objectkernel_contracts.commands import COMMANDS, CommandContext, CommandMaker, Services, Unstarted
from objectkernel_contracts.errors_as import ErrorShape, error_shape_of, errors_as
from objectkernel_contracts.identity import (
    CREDENTIAL_VERIFIERS,
    IDENTITY,
    PRINCIPAL,
    STANDING,
    Credentials,
    CredentialVerifier,
    Identity,
    Principal,
    Standing,
)
from objectkernel_contracts.keyring import KEY_NAMES, KEYRING, Keyring, NamedKey
from objectkernel_contracts.languages import preferred_language
from objectkernel_contracts.metrics import METRICS, Figure, FigureSource
from objectkernel_contracts.mounts import MOUNTS, ApplicationMaker, MountedApplication
from objectkernel_contracts.raising import Raised, raised_by, raises
from objectkernel_contracts.requests import REQUEST_ID
from objectkernel_contracts.routers import ROUTERS, RouterMaker
from objectkernel_contracts.scopes import OPERATE, ROLES, SCOPES, GrantableScope, Role

__all__ = [
    "AUDIT",
    "COMMANDS",
    "CREDENTIAL_VERIFIERS",
    "IDENTITY",
    "KEYRING",
    "KEY_NAMES",
    "METRICS",
    "MOUNTS",
    "OFFLINE_AUDIT",
    "OPERATE",
    "PRINCIPAL",
    "REQUEST_ID",
    "ROLES",
    "ROUTERS",
    "SCOPES",
    "STANDING",
    "Access",
    "AccountDeleting",
    "ApplicationMaker",
    "Audit",
    "CommandContext",
    "CommandMaker",
    "CredentialVerifier",
    "Credentials",
    "ErrorShape",
    "Figure",
    "FigureSource",
    "GrantableScope",
    "Identity",
    "Keyring",
    "MountedApplication",
    "NamedKey",
    "OfflineAudit",
    "Principal",
    "Public",
    "Raised",
    "Role",
    "RouterMaker",
    "Scope",
    "Services",
    "Standing",
    "Unstarted",
    "access_of",
    "error_shape_of",
    "errors_as",
    "preferred_language",
    "public",
    "raised_by",
    "raises",
    "requires",
]
