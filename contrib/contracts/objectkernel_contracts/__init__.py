"""What plugins and hosts of objectkernel share, so that neither imports the other."""

from objectkernel_contracts.access import Access, Public, Scope, access_of, public, requires
from objectkernel_contracts.commands import COMMANDS, CommandContext, CommandMaker, Services, Unstarted
from objectkernel_contracts.identity import IDENTITY, Credentials, Identity, Principal
from objectkernel_contracts.routers import ROUTERS, RouterMaker

__all__ = [
    "COMMANDS",
    "IDENTITY",
    "ROUTERS",
    "Access",
    "CommandContext",
    "CommandMaker",
    "Credentials",
    "Identity",
    "Principal",
    "Public",
    "RouterMaker",
    "Scope",
    "Services",
    "Unstarted",
    "access_of",
    "public",
    "requires",
]
