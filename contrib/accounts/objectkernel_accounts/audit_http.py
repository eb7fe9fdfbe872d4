"""``/api/v1/audit``: the trail of the caller's account; for operators, of all."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from objectkernel_contracts import OPERATE, Principal, Scope, raises, requires
from objectkernel_system_dialect.contracts import CursorInvalid, Dialect
from pydantic import BaseModel, ConfigDict, Field

from objectkernel_accounts.audit_errors import AuditQueryInvalid
from objectkernel_accounts.audit_reading import matching, page

READ: Final = "audit:read"
CURSOR: Final = "WyJzZXF1ZW5jZTotMSIsMTAwXQ"

Name = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]+$")]


class AuditParameters(BaseModel):
    """What part of the trail is asked for."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200, description="entries of the page", examples=[50])
    after: str | None = Field(default=None, max_length=500, description="`next` of the page before", examples=[CURSOR])
    account: Name | None = Field(default=None, description="only entries of this account", examples=["acme"])
    action: Name | None = Field(default=None, description="only entries of this action", examples=["data.create"])


class AuditEntry(BaseModel):
    """Who did what to what."""

    at: datetime
    action: str
    subject: str
    account_id: str | None = None
    user_id: str | None = None
    key_id: str | None = None
    request_id: str | None = None
    details: dict[str, Any] | None = None


class AuditPage(BaseModel):
    """Entries, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "entries": [
                    {
                        "at": "2026-03-01T09:30:00Z",
                        "action": "data.create",
                        "subject": "orders/17",
                        "account_id": "acme",
                        "user_id": "ada",
                        "key_id": None,
                        "request_id": "8c5d1f0e-54a8-4c3a-9c3b-0d6f5f1c9a10",
                        "details": {"fields": ["total"]},
                    }
                ],
                "next": None,
            }
        }
    )

    entries: list[AuditEntry]
    next: str | None


def audit_router(dialect: Dialect) -> APIRouter:
    """The routes over the trail in this dialect."""
    router = APIRouter(prefix="/api/v1/audit", tags=["audit"])

    @router.get("", summary="Read the audit trail")
    @requires(Scope(READ, OPERATE))
    @raises(AuditQueryInvalid)
    async def read(request: Request, asked: Annotated[AuditParameters, Query()]) -> AuditPage:
        principal: Principal = request.state.principal
        account = asked.account
        if OPERATE not in principal.scopes:
            if account not in (None, principal.account_id):
                return AuditPage(entries=[], next=None)  # what another account has done is as if it were not
            account = principal.account_id
        try:
            found = await page(dialect, matching(account, asked.action), asked.limit, asked.after)
        except CursorInvalid as error:
            raise AuditQueryInvalid("`after` is no cursor of this list", why=error.why, fix=error.fix) from error
        return AuditPage(entries=[AuditEntry(**_without_number(row)) for row in found.rows], next=found.next)

    return router


def _without_number(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "sequence"}
