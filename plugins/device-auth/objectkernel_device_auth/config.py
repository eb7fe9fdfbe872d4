"""The settings of device-auth's server."""

from __future__ import annotations

from typing import Any, Final

import attrs
from attrs import validators

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def _prefixed(spec: Any, attribute: attrs.Attribute[Any], value: str) -> None:
    from objectkernel_device_auth.key_format import PREFIX

    if not PREFIX.fullmatch(value):
        raise ValueError(f"{value!r} is no prefix of keys: write 1 to 16 lower-case letters and digits, a letter first")


@attrs.frozen(kw_only=True)
class DeviceAuthConfig:
    """`[plugins.device-auth]` in the configuration file; times are seconds."""

    base_url: str = ""
    """Where the host is reached, ``https://shop.example`` or below a path: the issuer. "": as each request says."""
    key_prefix: str = attrs.field(default="ok", validator=_prefixed)
    """What keys begin with, so that secret scanners know whose they are."""
    key_lifetime: float = attrs.field(default=90 * DAY, validator=validators.ge(0.0))
    """How long a key that is made by hand can be used, unless its maker says otherwise; 0: until it is revoked."""
    max_key_lifetime: float = attrs.field(default=0.0, validator=validators.ge(0.0))
    """The longest that anybody may ask for; 0: a key need not end."""
    rotation_overlap: float = attrs.field(default=DAY, validator=validators.ge(0.0))
    """How long a key that was rotated goes on beside its successor."""
    keys_per_account: int = attrs.field(default=1000, validator=validators.ge(1))
    """How many good keys one account may have."""
    verified_for: float = attrs.field(default=5.0, validator=[validators.ge(0.0), validators.le(60.0)])
    """How long a key is not looked up again; what another process revokes may be used for so long."""
    remembered: float = attrs.field(default=30 * DAY, validator=validators.ge(0.0))
    """How long a key that has ended is still told of."""
    first_party_client: str = attrs.field(default="objectkernel-cli", validator=validators.min_len(1))
    """The id of the public client that is always there."""
    first_party_name: str = attrs.field(default="objectkernel command line", validator=validators.min_len(1))
    """What it is called before the person who approves."""
    device_scopes: tuple[str, ...] = ()
    """The scopes that the device flow may grant; none named: all that people's roles give, but those over keys."""
    code_lifetime: float = attrs.field(default=10 * MINUTE, validator=[validators.ge(MINUTE), validators.le(HOUR)])
    """A code waits for its person for this long."""
    interval: int = attrs.field(default=5, validator=[validators.ge(1), validators.le(60)])
    """How long a device has to wait between polls at first."""
    access_lifetime: float = attrs.field(default=DAY, validator=validators.ge(MINUTE))
    """A key of the device flow can be used for this long; then it is refreshed."""
    refresh_lifetime: float = attrs.field(default=90 * DAY, validator=validators.ge(MINUTE))
    """A refresh token that nobody uses can be used for this long."""
    refresh_grace: float = attrs.field(default=20.0, validator=[validators.ge(0.0), validators.le(MINUTE)])
    """A refresh token that was just used gets the same answer again for this long."""
    live_codes: int = attrs.field(default=10_000, validator=validators.ge(1))
    """How many codes may wait at once."""
    live_codes_per_client: int = attrs.field(default=2_000, validator=validators.ge(1))
    """How many of one client."""
    live_codes_per_address: int = attrs.field(default=20, validator=validators.ge(1))
    """How many that were asked for from one address."""
    codes_per_address: int = attrs.field(default=100, validator=validators.ge(1))
    """How many codes one address is given within `code_lifetime`, also of those that were decided."""
    plain_http: bool = False
    """Give tokens over http:// to elsewhere than this machine, where others may read them."""
    sweep_every: float = attrs.field(default=MINUTE, validator=validators.ge(1.0))
    """How often what has expired is removed."""
