"""Kernels with media-server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from objectkernel import ObjectKernel
from objectkernel_contracts import KEYRING
from objectkernel_media_server.plugin import MediaServerPlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.hosts import Ring

BASE = "https://media.example"


def in_memory(*plugins: Any, **settings: Any) -> ObjectKernel:
    """A kernel whose rows and blobs end with it."""
    told = {"storage": "memory", "signed_url_base_url": BASE, **settings}
    return ObjectKernel(
        plugins=[SystemDialectPlugin.in_memory(), MediaServerPlugin, *plugins],
        discover=False,
        environ={},
        config={"plugins": {"media-server": told}},
    ).provide(KEYRING, Ring())


def in_folder(folder: Path, *plugins: Any, **settings: Any) -> ObjectKernel:
    """A kernel whose rows and blobs lie in a folder."""
    return ObjectKernel(
        plugins=[SystemDialectPlugin, MediaServerPlugin, *plugins],
        discover=False,
        environ={"OBJECTKERNEL_DATA_DIR": str(folder)},
        config={"plugins": {"media-server": {"signed_url_base_url": BASE, **settings}}},
    ).provide(KEYRING, Ring())
