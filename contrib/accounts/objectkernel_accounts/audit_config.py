"""The settings of the audit trail."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, le


@attrs.frozen(kw_only=True)
class AuditConfig:
    """How long the trail is kept.

    Attributes:
        lifetime_days: an entry older than this is removed.
        sweep_seconds: how long after its start, and between two times, the host looks for such entries.
    """

    lifetime_days: int = attrs.field(default=400, validator=[ge(1), le(36_500)])
    sweep_seconds: float = attrs.field(default=600.0, validator=[gt(0), le(86_400)])
