"""The plugin: the command ``serve`` and its settings. An application needs it not."""

from __future__ import annotations

from typing import Final

from objectkernel import Plugin, configured_by, contributes
from objectkernel_contracts import COMMANDS, CommandMaker

from objectkernel_http.config import HttpConfig

NAME: Final = "http"


class HttpPlugin(Plugin):
    """Adds ``objectkernel serve``, with the settings ``[plugins.http]``."""

    name = NAME
    config = configured_by(HttpConfig)

    @contributes(COMMANDS, uses=())
    def serve_command(self) -> CommandMaker:
        def make() -> object:
            from objectkernel_http.commands import serve

            return serve

        return make
