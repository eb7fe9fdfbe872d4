"""A host that deletes an account and never comes to its end, for a test to kill: its folder, and where it halts."""

from __future__ import annotations

import sys
from typing import Any

import anyio
from objectkernel import ObjectKernel, Plugin, on
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE
from objectkernel_accounts.deletion import Deletions
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_contracts import AccountDeleting
from objectkernel_system_dialect.plugin import SystemDialectPlugin

PASSWORD = "correct horse battery staple"


class Holder(Plugin):
    """Holds something of accounts.

    Args:
        halts: never lets go.
    """

    name = "holder"

    def __init__(self, *, halts: bool = False) -> None:
        self.halts = halts
        self.told: list[AccountDeleting] = []

    @on(AccountDeleting)
    async def deleting(self, event: AccountDeleting) -> None:
        self.told.append(event)
        if self.halts:
            await halt()


def host(folder: str, holder: Holder) -> ObjectKernel:
    plugins = [SystemDialectPlugin, KeyringPlugin, AuditPlugin, AccountsPlugin, holder]
    return ObjectKernel(plugins=plugins, discover=False, environ={"OBJECTKERNEL_DATA_DIR": folder})


async def halt() -> None:
    print("here", flush=True)
    await anyio.sleep_forever()


async def main(folder: str, where: str) -> None:
    remove = Deletions._remove_people

    async def half(self: Deletions, account_id: str) -> None:
        await remove(self, account_id)
        await halt()

    if where == "people":
        Deletions._remove_people = half  # type: ignore[method-assign]
    async with host(folder, Holder(halts=where == "plugin")) as kernel:
        people, accounts = kernel.get(PEOPLE), kernel.get(ACCOUNTS)
        ada = await people.create_admin("ada", PASSWORD)
        account = await accounts.create("Doomed")
        link = await people.invite("bob", account.id, "owner")
        await people.accept(link.token.reveal(), PASSWORD)
        print(account.id, ada.account.id, flush=True)
        await accounts.delete(account.id, successor_id=ada.account.id)


if __name__ == "__main__":
    arguments: Any = sys.argv[1:]
    anyio.run(main, *arguments)
