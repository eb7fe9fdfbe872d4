"""Why no key could be had, in words that say what to do.

The texts name an authorization server by host and port alone, and none has a code or a key in it.
"""

from __future__ import annotations

from objectkernel_device_auth.errors import AuthorizationFailed

SET_KEY = "set MOSTA_NET_API_KEY"
LONGEST = 200


def told(text: object) -> str:
    """What a server says, fit to be shown: one line, no control characters, not too long."""
    line = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def address_refused(variable: str, why: str, fix: str) -> AuthorizationFailed:
    return AuthorizationFailed(f"the address in {variable} cannot be used", why=why, fix=fix, reason="address")


def no_address() -> AuthorizationFailed:
    return AuthorizationFailed(
        "nobody says where to ask for a key",
        why="MOSTA_NET_API_KEY, MOSTA_AUTH_FLOW_URL and MOSTA_NET_URL are not set, and no key is kept",
        fix=f"set MOSTA_AUTH_FLOW_URL to the authorization server, or MOSTA_NET_URL, or {SET_KEY}",
        reason="address",
    )


def no_server_to_log_in() -> AuthorizationFailed:
    return AuthorizationFailed(
        "nobody says where to log in",
        why="--host-url is not given, and MOSTA_AUTH_FLOW_URL and MOSTA_NET_URL are not set",
        fix="say `--host-url https://…`, or set MOSTA_AUTH_FLOW_URL or MOSTA_NET_URL",
        reason="address",
    )


def opted_out() -> AuthorizationFailed:
    return AuthorizationFailed(
        "there is no key, and none may be asked for",
        why="MOSTA_NO_AUTOREGISTER is set, MOSTA_NET_API_KEY is not, and no good key is kept",
        fix=f"{SET_KEY}, or run `objectkernel login`, or unset MOSTA_NO_AUTOREGISTER",
        reason="opted-out",
    )


def no_terminal(place: str) -> AuthorizationFailed:
    return AuthorizationFailed(
        f"a key of {place} is needed, and nobody could be shown the code for it",
        why="standard error is no terminal, or CI is set",
        fix=f"{SET_KEY}, or run `objectkernel login` in a terminal of this user; to print URL and code nevertheless "
        "and wait, `objectkernel login --wait`, or for every host of this user the setting `wait` of api-key-source "
        "(OBJECTKERNEL_PLUGINS__API_KEY_SOURCE__WAIT=true)",
        reason="no-terminal",
    )


def elsewhere(place: str, seconds: float) -> AuthorizationFailed:
    return AuthorizationFailed(
        f"another process has been asking {place} for a key for {seconds:g} s",
        why="only one asks at a time, and the others take the key that it gets",
        fix=f"approve the code that the other process shows, or end it; or {SET_KEY}",
        reason="elsewhere",
    )


def denied(place: str) -> AuthorizationFailed:
    return AuthorizationFailed(
        f"the request for a key of {place} was denied",
        why="whoever entered the code did not let this program in",
        fix="ask again, and approve it",
        reason="denied",
    )


def expired(place: str) -> AuthorizationFailed:
    return AuthorizationFailed(
        f"nobody approved the code of {place} in time",
        why="codes are good for a few minutes",
        fix="ask again, and enter the new code soon",
        reason="expired",
    )


def unreachable(place: str, why: str) -> AuthorizationFailed:
    return AuthorizationFailed(
        f"the authorization server {place} gave no proper answer",
        why=why,
        fix="check the address (--host-url, MOSTA_AUTH_FLOW_URL or MOSTA_NET_URL), and whether the server is up",
        reason="unreachable",
    )


def no_device_flow(place: str) -> AuthorizationFailed:
    return AuthorizationFailed(
        f"{place} has no device flow",
        why="its metadata names no device_authorization_endpoint",
        fix=f"set MOSTA_AUTH_FLOW_URL to the authorization server, or {SET_KEY}",
        reason="unsupported",
    )


def other_issuer(place: str, named: object) -> AuthorizationFailed:
    return AuthorizationFailed(
        f"the metadata of {place} is that of another server",
        why=f"it says issuer {told(named)}, which is not the address that was asked (RFC 8414 section 3.3)",
        fix="set MOSTA_AUTH_FLOW_URL to exactly the server's issuer, or correct the base_url of the server",
        reason="issuer",
    )


def unsafe_endpoint(place: str, name: str) -> AuthorizationFailed:
    return AuthorizationFailed(
        f"the metadata of {place} names an unsafe {name}",
        why="it is no https URL, and a code or key would be sent there",
        fix="correct the base_url of the server",
        reason="issuer",
    )


def refused(place: str, error: object, description: object = None) -> AuthorizationFailed:
    why = told(error) + (f": {told(description)}" if description else "")
    return AuthorizationFailed(
        f"{place} gives no key",
        why=f"it answered {why}",
        fix=_FIXES.get(str(error), f"ask whoever runs the server, or {SET_KEY}"),
        reason="refused",
        error=told(error),
    )


_FIXES = {
    "invalid_client": "set MOSTA_CLIENT_ID, or --client-id, to a client that the server knows",
    "unauthorized_client": "set MOSTA_CLIENT_ID to a client that may use the device flow",
    "invalid_scope": "ask for scopes that this client may have (--scope, or `scope` of api-key-source)",
    "invalid_grant": "the code is spent or unknown: ask again",
    "temporarily_unavailable": "the server has too much to do: ask again later",
}


def not_kept(where: str, why: str, *, received: bool) -> AuthorizationFailed:
    what = "a key was received and cannot be kept" if received else "no key could be kept"
    return AuthorizationFailed(
        f"{what} in {where}",
        why=why,
        fix=f"make room and let this user write there; or choose another folder by XDG_CONFIG_HOME, or {SET_KEY}",
        reason="not-kept",
    )
