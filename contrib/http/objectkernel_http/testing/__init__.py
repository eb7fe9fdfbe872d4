"""For tests of hosts and plugins: who is let in by every route, and whether every route is described."""

from objectkernel_http.testing.access import OTHER, STRANGER, Asked, Found, access_table, operators_scopes
from objectkernel_http.testing.described import undescribed
from objectkernel_http.testing.examples import Unexampled, body_of, example_of
from objectkernel_http.testing.identity import TESTER, ScopeTokens, token

__all__ = [
    "OTHER",
    "STRANGER",
    "TESTER",
    "Asked",
    "Found",
    "ScopeTokens",
    "Unexampled",
    "access_table",
    "body_of",
    "example_of",
    "operators_scopes",
    "token",
    "undescribed",
]
