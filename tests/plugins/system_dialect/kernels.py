"""Kernels with system-dialect and a shop that stores something in both databases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objectkernel import ObjectKernel, Plugin, contributes, needs
from objectkernel_system_dialect.contracts import (
    BUSINESS_SCHEMAS,
    DIALECT,
    SYSTEM_DIALECT,
    SYSTEM_SCHEMAS,
    EntitySchema,
    Field,
)
from objectkernel_system_dialect.plugin import SystemDialectPlugin

KEY_ROW = EntitySchema(name="KeyRow", collection="sys_keys", fields={"name": Field("string")})
ORDER = EntitySchema(name="Order", collection="orders", fields={"total": Field("integer")})


class Shop(Plugin):
    """Stores orders with the business data and keys with the system's."""

    name = "shop"
    system = needs(SYSTEM_DIALECT)
    business = needs(DIALECT)

    @contributes(SYSTEM_SCHEMAS, uses=())
    def key_row(self) -> EntitySchema:
        return KEY_ROW

    @contributes(BUSINESS_SCHEMAS, uses=())
    def order(self) -> EntitySchema:
        return ORDER


def shop(environ: Mapping[str, str], *plugins: Any, **options: Any) -> ObjectKernel:
    """A kernel with the shop whose settings come from this environment alone."""
    return ObjectKernel(plugins=[Shop, SystemDialectPlugin, *plugins], discover=False, environ=environ, **options)


def in_files(folder: Path, *, system: bool = True) -> dict[str, str]:
    """An environment with SQLite files in a folder: the business data's, and one for the system's data."""
    environ = {"OBJECTKERNEL_DATA_DIR": str(folder), "SGBD_URI": str(folder / "business.db")}
    if system:
        environ |= {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": str(folder / "system.db")}
    return environ
