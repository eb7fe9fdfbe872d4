"""The settings of accounts."""

from __future__ import annotations

from typing import Final

import attrs

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


@attrs.frozen(kw_only=True)
class AccountsConfig:
    """`[plugins.accounts]` in the configuration file; times are seconds."""

    base_url: str = ""
    """Where the host is reached: ``https://shop.example``, or below a path; for the links that commands print."""
    session_idle: float = attrs.field(default=12 * HOUR, validator=attrs.validators.ge(MINUTE))
    """A session that nobody uses is over after this long."""
    session_lifetime: float = attrs.field(default=14 * DAY, validator=attrs.validators.ge(MINUTE))
    """A session is over after this long, however much it is used."""
    session_cache: float = attrs.field(default=2.0, validator=[attrs.validators.ge(0.0), attrs.validators.le(10.0)])
    """How long a session is not looked up again; what another process ends may be used for so long."""
    invitation_lifetime: float = attrs.field(default=7 * DAY, validator=attrs.validators.ge(MINUTE))
    """An invitation can be used for this long."""
    reset_lifetime: float = attrs.field(default=DAY, validator=attrs.validators.ge(MINUTE))
    """A link to choose a new password can be used for this long."""
    password_threads: int = attrs.field(default=2, validator=[attrs.validators.ge(1), attrs.validators.le(64)])
    """How many passwords are checked at once; each takes 19 MiB of memory."""
    plain_http: bool = False
    """Let people sign in over http:// from elsewhere than this machine, where others may read what they send."""
    sweep_every: float = attrs.field(default=MINUTE, validator=attrs.validators.ge(1.0))
    """How often what has expired is removed."""
