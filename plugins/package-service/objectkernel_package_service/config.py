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
