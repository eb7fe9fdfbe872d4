"""What happens to accounts, for plugins that hold something of theirs."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class AccountDeleting:
    """An account is being deleted; nobody signs in to it any more. An event of the kernel.

    Whoever holds something of the account removes it, or hands it over, in a handler; one that raises stops the
    deletion, which is gone on with later, so a handler is called again for what it has removed before.

    Attributes:
        account_id: the account.
        successor_id: the account that takes over what can be handed over; None: remove it.
    """

    account_id: str
    successor_id: str | None = None
