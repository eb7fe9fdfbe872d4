"""What can be wrong with a question about the audit trail."""

from __future__ import annotations

from typing import ClassVar

from objectkernel.errors import KernelError


class AuditQueryInvalid(KernelError):
    """A part of the audit trail is asked for that cannot be: the cursor is damaged, or of another list."""

    code = "A401"
    http_status: ClassVar[int] = 422
