"""The parts of device-auth, put together: what its services, its routes and its commands are made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import attrs
from objectkernel.keys import Service
from objectkernel_contracts import Audit, GrantableScope, Keyring, Standing
from objectkernel_system_dialect.contracts import Dialect

from objectkernel_device_auth.clients import HostClients
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.flow import HostDeviceAuth, assemble_flow
from objectkernel_device_auth.flow_keys import FamilyKeys
from objectkernel_device_auth.flow_needs import Notify
from objectkernel_device_auth.key_endings import KeyEndings
from objectkernel_device_auth.key_rules import KeyRules
from objectkernel_device_auth.key_scopes import KnownScopes
from objectkernel_device_auth.key_use import KeyUse
from objectkernel_device_auth.keys import HostKeys
from objectkernel_device_auth.trail import Trail
from objectkernel_device_auth.verifying import KeyChecks


@attrs.frozen(kw_only=True)
class Parts:
    """Everything of one host that has to do with keys and clients.

    Attributes:
        scopes: those that the host's plugins know.
        endings: how keys end, with the refresh tokens that came with them.
    """

    config: DeviceAuthConfig
    scopes: KnownScopes
    trail: Trail
    checks: KeyChecks
    use: KeyUse
    endings: KeyEndings
    keys: HostKeys
    clients: HostClients
    flow: HostDeviceAuth


PARTS = Service[Parts]("device-auth-parts")
"""Of this plugin alone."""


def assemble(
    dialect: Dialect,
    keyring: Keyring,
    scopes: Iterable[GrantableScope],
    config: DeviceAuthConfig,
    *,
    audit: Audit | None,
    standing: Standing | None,
    notify: Notify,
) -> Parts:
    """Put the parts together on a dialect that has their tables.

    Args:
        audit: None: there is no trail.
        standing: None: people may what they were granted.
        notify: tells plugins of devices that were let in.
    """
    known = KnownScopes(scopes, config.device_scopes)
    trail, rules, use = Trail(audit), KeyRules(known, config), KeyUse(dialect)
    checks = KeyChecks(dialect, standing, use, config.verified_for)
    endings = KeyEndings(dialect, trail, timedelta(seconds=config.remembered))
    keys = HostKeys(dialect, trail, rules, endings, checks, config, standing)
    clients = HostClients(dialect, trail, rules, endings, checks, config)
    flow = assemble_flow(
        dialect, keyring, config, clients, FamilyKeys(keys), known, audit=audit, standing=standing, notify=notify
    )

    async def end_families(families: list[str]) -> None:
        for family in families:
            await flow.families.end(family)

    endings.end_families = end_families
    endings.forget_client = flow.families.forget_client
    endings.forget_account = flow.families.forget_account
    return Parts(
        config=config,
        scopes=known,
        trail=trail,
        checks=checks,
        use=use,
        endings=endings,
        keys=keys,
        clients=clients,
        flow=flow,
    )
