"""The settings of package-service."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class PackageServiceConfig:
    """`[plugins.package-service]` in the configuration file."""

    max_manifest_bytes: int = attrs.field(default=256 * 1024, validator=attrs.validators.ge(1))
    """The largest manifest, in bytes of canonical JSON."""
    max_metadata_bytes: int = attrs.field(default=16 * 1024 * 1024, validator=attrs.validators.ge(1))
    """The largest metadata of one package, in bytes of canonical JSON."""
    refresh_seconds: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    """How often a host looks whether another one of the same database has installed something; 0: never."""
    http_body_bytes: int = attrs.field(default=32 * 1024 * 1024, validator=attrs.validators.ge(1))
    """The longest body of a package that is published over HTTP."""
    anonymous_reads: bool = False
    """Whether anybody may read public packages over HTTP, without a credential too."""
    account_of_older_rows: str = ""
    """Whose the rows are that were written before their object kept those of accounts apart; empty: nobody's yet."""
