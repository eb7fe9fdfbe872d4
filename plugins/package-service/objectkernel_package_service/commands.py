"""``objectkernel packages``: the group, whose commands stand in modules of their own."""

from __future__ import annotations

import click

from objectkernel_package_service.commands_archive import export, import_
from objectkernel_package_service.commands_changing import configure, delete, deprecate, tag, untag, yank
from objectkernel_package_service.commands_installing import install, installed, uninstall, upgrade
from objectkernel_package_service.commands_publish import publish
from objectkernel_package_service.commands_reading import get, history, list_, search, show, tags, verify, versions


@click.group()
def packages() -> None:
    """Publish, deliver and install metadata packages."""


for command in (publish, list_, search, show, get, versions, tags, history, verify):
    packages.add_command(command)
for command in (delete, tag, untag, deprecate, yank, configure, export, import_):
    packages.add_command(command)
for command in (install, upgrade, uninstall, installed):
    packages.add_command(command)
