"""The plugin: what media-server needs, provides and contributes."""

from __future__ import annotations

from objectkernel import Plugin


class MediaServerPlugin(Plugin):
    """Recordings of each account, and the store that holds their bytes."""

    name = "media-server"
