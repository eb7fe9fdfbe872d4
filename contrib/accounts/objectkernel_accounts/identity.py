"""Who is calling: by the cookie of a session, or by whatever else plugins know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

from objectkernel_contracts import OPERATE, ROLES, Credentials, CredentialVerifier, GrantableScope, Principal, Role

from objectkernel_accounts.sessions import Session, Sessions

SESSION_COOKIE: Final = "objectkernel-session"
HOST_PREFIX: Final = "__Host-"
"""A browser takes such a cookie over https alone, from this very host, for all of it."""
SIGN_IN_PATH: Final = "/sign-in"


class Grants:
    """What people may, by their role in an account, and by whether they run the host."""

    def __init__(self, scopes: Iterable[GrantableScope]) -> None:
        scopes = tuple(scopes)
        self._by_role: dict[Role, frozenset[str]] = {}
        held: frozenset[str] = frozenset()
        for role in ROLES:
            held |= {scope.name for scope in scopes if scope.role == role}
            self._by_role[role] = held
        self._operators = frozenset(scope.name for scope in scopes if scope.role == "operator") | {OPERATE}

    def of(self, role: Role, *, operator: bool) -> frozenset[str]:
        """The scopes of somebody in an account."""
        scopes = self._by_role[role]
        return scopes | self._operators if operator else scopes

    @property
    def everything(self) -> frozenset[str]:
        """All that anybody can have: what an account's own credential keeps of that, whoever granted it has decided."""
        return self.of(ROLES[-1], operator=True)


class HostIdentity:
    """Knows the sessions of the host, and asks plugins about every other credential.

    A token in ``Authorization`` is looked at alone: whoever sends one does not mean a cookie.
    """

    def __init__(
        self, sessions: Sessions, grants: Grants, verifiers: Iterable[CredentialVerifier], base_url: str
    ) -> None:
        self._sessions = sessions
        self._grants = grants
        self._verifiers = tuple(verifiers)
        self._root = urlsplit(base_url).path.rstrip("/")

    async def principal(self, credentials: Credentials) -> Principal | None:
        session = None
        if credentials.bearer is None:
            session = await session_of(self._sessions, credentials.cookies, secure=credentials.secure)
        if session is not None:
            return Principal(
                account_id=session.account.id,
                user_id=session.user.id,
                scopes=self._grants.of(session.role, operator=session.user.operator),
                session_id=session.id,
            )
        for verifier in self._verifiers:
            principal = await verifier.principal(credentials)
            if principal is not None:
                return principal
        return None

    def sign_in_url(self, return_to: str) -> str:
        return f"{self._root}{SIGN_IN_PATH}?{urlencode({'return_to': return_to})}"


def cookie_name(name: str, *, secure: bool) -> str:
    """What a cookie of ours is called. Over https no other name is looked at: another host could have set it."""
    return f"{HOST_PREFIX}{name}" if secure else name


async def session_of(sessions: Sessions, cookies: Mapping[str, str], *, secure: bool) -> Session | None:
    """The session that the cookie for this kind of connection belongs to."""
    token = cookies.get(cookie_name(SESSION_COOKIE, secure=secure))
    return await sessions.find(token, secure=secure) if token else None
