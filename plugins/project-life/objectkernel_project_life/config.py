"""The settings of project-life."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import deep_iterable, ge, gt, in_, instance_of, le
from objectkernel.secret import Secret

from objectkernel_project_life.host_rules import are_host_rules


@attrs.frozen(kw_only=True)
class ProjectLifeConfig:
    """`[plugins.project-life]` in the configuration file; times are seconds."""

    encryption_key: Secret[str] | None = attrs.field(default=None, metadata={"env": "PROJECT_ENCRYPTION_KEY"})
    """What URIs are encrypted with: 32 bytes as base64url, base64 or hexadecimal; several with commas between, the
    active one first. Without it a key of `KEYRING` is used, where there is one."""
    allow_plaintext_uris: bool = False
    """Store URIs as they are where there is no key at all."""
    data_dir: Path = attrs.field(default=Path(".objectkernel"), metadata={"env": "OBJECTKERNEL_DATA_DIR"})
    """The folder whose sub-folder ``projects`` holds the SQLite files of projects."""

    allowed_dialects: tuple[str, ...] = attrs.field(
        default=("sqlite", "postgres", "mariadb", "mysql"), validator=deep_iterable(instance_of(str))
    )
    """The kinds of databases that projects may have."""
    allowed_hosts: tuple[str, ...] = attrs.field(
        default=(), validator=[deep_iterable(instance_of(str)), are_host_rules]
    )
    """Servers on which projects may have theirs: names, ``*.example.com``, addresses, networks such as
    ``10.1.0.0/16``. Empty: on none, so that nobody reaches what is behind the host; SQLite needs no server."""
    allowed_ports: tuple[int, ...] = attrs.field(default=(), validator=deep_iterable(instance_of(int)))
    """Their ports; empty: the usual port of each kind of server."""

    opening: Literal["eager", "lazy"] = attrs.field(default="lazy", validator=in_(("eager", "lazy")))
    """Open the active projects when the host starts, or each when somebody needs it."""
    idle_close_after: float = attrs.field(default=0.0, validator=ge(0.0))
    """How long nobody needs a project before its connections are closed, until somebody does; 0: never."""
    boot_concurrency: int = attrs.field(default=16, validator=[ge(1), le(1000)])
    """How many projects are opened at once."""
    max_connections_total: int = attrs.field(default=80, validator=[ge(1), le(100_000)])
    """The most connections to one server, of all projects together."""
    max_open_files: int = attrs.field(default=250, validator=[ge(1), le(100_000)])
    """The most SQLite projects that are open at a time: each has four threads and a dozen file descriptors. Of more,
    those are closed that were not used for longest, until somebody needs them. Fewer where the system lets the process
    open few files (``ulimit -n``): they have half of those."""
    open_timeout: float = attrs.field(default=10.0, validator=[gt(0.0), le(3600.0)])
    """How long opening one project may take, tables included."""
    command_timeout: float = attrs.field(default=60.0, validator=[gt(0.0), le(3600.0)])
    """How long one statement on a project's server may take."""
    pause_deadline: float = attrs.field(default=10.0, validator=[ge(0.0), le(3600.0)])
    """How long running operations may go on when a project is paused, moved or ended."""
    retry_first: float = attrs.field(default=1.0, validator=gt(0.0))
    """How soon a project that could not be opened is tried again; each further pause is twice as long."""
    retry_longest: float = attrs.field(default=300.0, validator=gt(0.0))
    """The longest of these pauses."""
    reconcile_interval: float = attrs.field(default=5.0, validator=[gt(0.0), le(3600.0)])
    """How often a host looks at what other hosts have changed in the register."""
    projects_per_account: int = attrs.field(default=1000, validator=ge(1))
    """How many projects one account may have."""
