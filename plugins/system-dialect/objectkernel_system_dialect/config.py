"""The settings of system-dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import attrs
from objectkernel.secret import Secret

SUPPORTED: Final = ("sqlite",)
"""The databases that can be opened now."""


def _supported(settings: Any, option: attrs.Attribute[Any], value: str | None) -> None:
    if value is not None and value not in SUPPORTED:
        raise ValueError(f"{value!r} is not supported; supported now: {', '.join(SUPPORTED)}")


def _with_system_uri(settings: Any, option: attrs.Attribute[Any], value: str | None) -> None:
    if (value is None) != (settings.system_uri is None):
        raise ValueError(
            "MOSTA_SYSTEM_DIALECT and MOSTA_SYSTEM_URI are given together or not at all: "
            f"{'the dialect' if value is None else 'the URI'} is missing"
        )


@attrs.frozen(kw_only=True)
class SystemDialectConfig:
    """Where the data lies, and how carefully it is written.

    Attributes:
        db_dialect: the database of the business data; ``sqlite``.
        sgbd_uri: its place: a URL, a bare file path or ``:memory:``; by default ``objectkernel.db`` in
        `data_dir`.
        system_dialect, system_uri: a database of its own for the system's data (keys, accounts, packages);
            without them it lies with the business data.
        data_dir: the folder that everything is written into; made when it is missing.
        synchronous: ``NORMAL`` keeps every acknowledged write when the process dies, ``FULL`` also when the
            machine does.
        busy_timeout: seconds to wait for another process that holds a file, at most 3600.
        readers: number of threads that read, for each database file, at most 64.
    """

    db_dialect: str = attrs.field(default="sqlite", validator=_supported, metadata={"env": "DB_DIALECT"})
    sgbd_uri: Secret[str] | None = attrs.field(default=None, metadata={"env": "SGBD_URI"})
    system_dialect: str | None = attrs.field(
        default=None, validator=[_supported, _with_system_uri], metadata={"env": "MOSTA_SYSTEM_DIALECT"}
    )
    system_uri: Secret[str] | None = attrs.field(default=None, metadata={"env": "MOSTA_SYSTEM_URI"})
    data_dir: Path = attrs.field(default=Path(".objectkernel"), metadata={"env": "OBJECTKERNEL_DATA_DIR"})
    synchronous: Literal["NORMAL", "FULL"] = attrs.field(
        default="NORMAL", validator=attrs.validators.in_(("NORMAL", "FULL"))
    )
    busy_timeout: float = attrs.field(default=5.0, validator=[attrs.validators.ge(0), attrs.validators.le(3600)])
    readers: int = attrs.field(default=3, validator=[attrs.validators.ge(1), attrs.validators.le(64)])
