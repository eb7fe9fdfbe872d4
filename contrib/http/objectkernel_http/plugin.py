"""The plugin: the command ``serve``, its settings, and the scope of operators. An application needs it not."""

from __future__ import annotations

from typing import Final

from objectkernel import Plugin, configured_by, contributes
from objectkernel_contracts import COMMANDS, OPERATE, SCOPES, CommandMaker, GrantableScope

from objectkernel_http.config import HttpConfig

NAME: Final = "http"


class HttpPlugin(Plugin):
    """Adds ``objectkernel serve``, with the settings ``[plugins.http]``, and `OPERATE` to what may be granted."""

    name = NAME
    config = configured_by(HttpConfig)

    @contributes(COMMANDS, uses=())
    def serve_command(self) -> CommandMaker:
        def make() -> object:
            from objectkernel_http.commands import serve

            return serve

        return make

    @contributes(SCOPES, uses=())
    def operate_scope(self) -> GrantableScope:
        description = "See how the host is: every service at /readyz, its figures at /metrics"
        french = "Voir l’état de l’hôte : chaque service à /readyz, ses chiffres à /metrics"
        return GrantableScope(name=OPERATE, description=description, role="operator", translations={"fr": french})
