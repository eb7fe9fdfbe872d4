"""`AUDIT`: the audit trail, a table of the system database that is only ever added to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from objectkernel_contracts import REQUEST_ID, Audit, Principal
from objectkernel_system_dialect.contracts import Dialect, EntitySchema, Field, Index

from objectkernel_accounts.audit_details import bounded_details, told_text

AUDIT_ENTRY: Final = EntitySchema(
    name="AuditEntry",
    collection="sys_audit",
    key="sequence",
    fields={
        "sequence": Field("sequence"),
        "at": Field("datetime", required=True),
        "action": Field("string", required=True, length=64),
        "subject": Field("string", required=True, length=255),
        "account_id": Field("string", length=255),
        "user_id": Field("string", length=255),
        "key_id": Field("string", length=255),
        "request_id": Field("string", length=64),
        "details": Field("json"),
    },
    indexes=(Index(("account_id", "sequence")), Index(("action", "sequence"))),
)
"""One row an entry. Nothing changes a row; what removes one is `AuditExpiry` alone, once its time is over."""

ACTION: Final = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+")


class AuditTrail:
    """Writes entries, in the transaction of the system database that the caller is in, if it is in one."""

    def __init__(self, dialect: Dialect, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._dialect = dialect
        self._clock = clock

    async def record(
        self,
        action: str,
        subject: str,
        *,
        principal: Principal | None = None,
        account_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        if not ACTION.fullmatch(action):
            raise ValueError(f"{action!r} is no action: write noun.verb, such as package.publish")
        entry = {
            "action": action,
            "subject": subject,
            "account_id": account_id or (principal and principal.account_id),
            "user_id": principal and principal.user_id,
            "key_id": principal and principal.key_id,
            "request_id": REQUEST_ID.get(),
        }
        row = {name: text and told_text(text, AUDIT_ENTRY.fields[name].length) for name, text in entry.items()}
        told = bounded_details(details) if details else None
        await self._dialect.create(AUDIT_ENTRY, {**row, "at": self._clock(), "details": told})


if TYPE_CHECKING:
    _is_an_audit: type[Audit] = AuditTrail
