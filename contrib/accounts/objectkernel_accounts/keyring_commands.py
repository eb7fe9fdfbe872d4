"""``objectkernel secrets``: what secrets the host has, and how they are changed; only one command shows any."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import click
from objectkernel_contracts import KEY_NAMES, OFFLINE_AUDIT, CommandContext, NamedKey
from objectkernel_contracts.terminal import as_json, print_json

from objectkernel_accounts.keyring_config import VARIABLE, KeyringConfig
from objectkernel_accounts.keyring_errors import KeyNotChanged
from objectkernel_accounts.keyring_file import KeyFile, key_file
from objectkernel_accounts.keyring_text import Keys, given_keys, key_text, new_key

PLUGIN: Final = "keyring"


@click.group()
def secrets() -> None:
    """See what secrets the host has, and change them. No kernel is started."""


@secrets.command("list")
@as_json
@click.pass_obj
def list_(obj: CommandContext) -> None:
    """List every key by name and id, with where it comes from; no secret is shown."""
    rows = list(_rows(_known(obj)))
    if obj.json:
        print_json([attrs.asdict(row) for row in rows])
        return
    for row in rows:
        click.echo(f"{row.name}  {row.id or '-'}  {row.state}  {row.source}".rstrip())


@secrets.command()
@click.argument("name")
@as_json
@click.pass_obj
def rotate(obj: CommandContext, name: str) -> None:
    """Make a new current key in the key file. The old ones are accepted until they are retired.

    Hosts that run take it when they are started again.
    """
    made = new_key()

    def change(keys: Keys) -> Keys:
        return {name: (made, *_in_file(obj, keys, name))}

    _file(obj).change(change)
    _note(obj, "secret.rotate", name, {"key_id": made.id})
    click.echo(json.dumps({"name": name, "id": made.id}) if obj.json else f"{name}: {made.id} is the current key")


@secrets.command()
@click.argument("name")
@click.argument("id")
@as_json
@click.pass_obj
def retire(obj: CommandContext, name: str, id: str) -> None:
    """Take an old key out of the key file: what was made with it is accepted no more.

    Hosts that run accept it until they are started again.
    """

    def change(keys: Keys) -> Keys:
        current, *old = _in_file(obj, keys, name)
        if id == current.id:
            raise _not_changed(name, id, "it is the current one", f"objectkernel secrets rotate {name}, then retire it")
        if id not in [key.id for key in old]:
            raise _not_changed(name, id, "there is none of this id", "see `objectkernel secrets list`")
        return {name: (current, *(key for key in old if key.id != id))}

    _file(obj).change(change)
    _note(obj, "secret.retire", name, {"key_id": id})
    click.echo(
        json.dumps({"name": name, "retired": id}) if obj.json else f"{name}: {id} is gone; restart the hosts that run"
    )


@secrets.command("export-env")
@click.option("--rotate", "rotated", multiple=True, metavar="NAME", help="Put a new key before those of this name.")
@click.pass_obj
def export_env(obj: CommandContext, rotated: Sequence[str]) -> None:
    """Print the variable that gives hosts all secrets: those there are, and new ones for names that have none.

    It shows the secrets, and keeps the new ones nowhere.
    """
    known = _known(obj)
    names = {**dict.fromkeys(known.names), **known.keys}
    if unknown := sorted(set(rotated) - set(names)):
        raise click.BadParameter(f"there is no key {unknown[0]!r}; there are {', '.join(names) or 'none'}")
    whole: dict[str, list[str]] = {}
    for name in sorted(names):
        old = known.keys.get(name, ())
        fresh = (new_key(),) if name in rotated or not old else ()
        whole[name] = [key_text(key) for key in (*fresh, *old)]
    if known.keys:
        _note(obj, "secret.export", ", ".join(sorted(known.keys)), {})
    click.echo(f"{VARIABLE}={shlex.quote(json.dumps(whole))}")


# --- where they are ---------------------------------------------------------------------------------------


@attrs.frozen
class _Row:
    name: str
    id: str | None
    state: str
    source: str


@attrs.frozen
class _Known:
    """The secrets of a host: those it was given, those in its file, and the names its plugins ask for."""

    given: Keys = attrs.field(repr=False)
    filed: Keys = attrs.field(repr=False)
    names: tuple[str, ...]
    path: str

    @property
    def keys(self) -> Keys:
        return {**self.filed, **self.given}


def _known(obj: CommandContext) -> _Known:
    config, file = _config(obj), _file(obj)
    names = obj.kernel().contributions(KEY_NAMES)
    return _Known(given_keys(config.keys, VARIABLE), file.read(), names, str(file.path))


def _rows(known: _Known) -> Iterator[_Row]:
    for name in sorted({*known.names, *known.keys}):
        keys = known.keys.get(name, ())
        source = VARIABLE if name in known.given else known.path
        for key in keys:
            yield _Row(name, key.id, "current" if key is keys[0] else "accepted", source)
        if not keys:
            yield _Row(name, None, "not made yet", "")


def _file(obj: CommandContext) -> KeyFile:
    return key_file(_config(obj).data_dir)


def _config(obj: CommandContext) -> KeyringConfig:
    """The plugin's settings.

    Raises:
        KernelError: of the settings, where one is refused.
    """
    composition = obj.kernel().compose()
    configuration = composition.configuration
    assert configuration is not None  # this plugin has settings
    for problem in (*composition.options.problems, *configuration.problems):
        if getattr(problem, "plugin", PLUGIN) == PLUGIN:
            raise problem
    config: KeyringConfig = configuration.instances[PLUGIN]
    return config


def _in_file(obj: CommandContext, keys: Keys, name: str) -> tuple[NamedKey, ...]:
    """The keys of this name, if they are in the file and it is they that count."""
    if name in _config(obj).keys:
        fix = f"objectkernel secrets export-env --rotate {name}, and give it to every host"
        raise _not_changed(name, "", f"it is given to the host in {VARIABLE}", fix)
    if name not in keys:
        why = f"the key file has {', '.join(sorted(keys)) or 'none'}; a name's key is made when it is first asked for"
        raise _not_changed(name, "", why, "see `objectkernel secrets list`")
    return keys[name]


def _not_changed(name: str, id: str, why: str, fix: str) -> KeyNotChanged:
    return KeyNotChanged(f"the key {' '.join((name, id)).strip()} is left as it is", why=why, fix=fix, name=name, id=id)


def _note(obj: CommandContext, action: str, subject: str, details: Mapping[str, Any]) -> None:
    for record in obj.kernel().contributions(OFFLINE_AUDIT):
        record(obj, action, subject, details)
