"""The plugin of who asks for a key: it needs no server, no database and no other plugin."""

from __future__ import annotations

from typing import Any

from objectkernel import Plugin, configured_by, contributes, provides
from objectkernel_contracts import COMMANDS, CommandMaker

from objectkernel_device_auth.client_config import ApiKeySourceConfig
from objectkernel_device_auth.contracts import API_KEY_SOURCE, DeviceKeySource


class ApiKeySourcePlugin(Plugin):
    """Provides `API_KEY_SOURCE`, which is a `DeviceKeySource`; nothing is asked for before somebody wants a key."""

    name = "api-key-source"
    config = configured_by(ApiKeySourceConfig)

    @provides(API_KEY_SOURCE)
    def source(self) -> DeviceKeySource:
        from objectkernel_device_auth.key_source import KeySource

        return KeySource(self.config, more_time=self.context.more_time)

    @contributes(COMMANDS, uses=())
    def login_command(self) -> CommandMaker:
        return lambda: _commands().login

    @contributes(COMMANDS, uses=())
    def logout_command(self) -> CommandMaker:
        return lambda: _commands().logout

    @contributes(COMMANDS, uses=())
    def whoami_command(self) -> CommandMaker:
        return lambda: _commands().whoami


def _commands() -> Any:
    """The module of the commands; click is imported with it, and not with the plugin."""
    from objectkernel_device_auth import login_commands

    return login_commands
