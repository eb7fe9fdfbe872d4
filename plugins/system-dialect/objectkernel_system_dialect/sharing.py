"""The system's data beside the business data: what is said about it, aloud."""

from __future__ import annotations

from objectkernel_system_dialect.errors import SystemDialectShared


def shared_system(where: str) -> SystemDialectShared:
    """The finding that the system's data has no database of its own; `where` is the kind that it shares."""
    return SystemDialectShared(
        "the system's data (keys, accounts, projects, packages) lies with the business data"
        + (", on another server" if where == "net" else ""),
        why="it has no database of its own: whoever switches the business data to another leaves it behind",
        fix="set MOSTA_SYSTEM_DIALECT and MOSTA_SYSTEM_URI; MOSTA_SYSTEM_REQUIRED=true refuses to start without",
        database=where,
    )
