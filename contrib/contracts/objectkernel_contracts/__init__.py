"""What plugins and hosts of objectkernel share, so that neither imports the other."""

from objectkernel_contracts.commands import COMMANDS, CommandContext, CommandMaker, Services

__all__ = ["COMMANDS", "CommandContext", "CommandMaker", "Services"]
