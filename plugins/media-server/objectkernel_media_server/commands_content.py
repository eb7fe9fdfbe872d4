"""``objectkernel media put`` and ``get``: bytes of recordings from files and into files."""

from __future__ import annotations

import errno
import hashlib
import json
import mimetypes
import os
import stat
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

import anyio.to_thread
import click
from objectkernel.errors import shortened
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import as_json, plain, print_json

from objectkernel_media_server.commands_output import ByteBar, document, size
from objectkernel_media_server.contracts import MEDIA, ChecksumMismatch, MediaRow
from objectkernel_media_server.entities import MEDIA as MEDIA_ROWS
from objectkernel_media_server.errors import MediaError
from objectkernel_media_server.parts import PARTS
from objectkernel_media_server.pieces import PIECE
from objectkernel_media_server.recordings import missing
from objectkernel_media_server.rows import recording

STANDARD: Final = "-"
"""Standard input, or output."""

of_account = click.option(
    "--account", "account_id", help="The id of its account: a recording of another one is as one that is not there."
)


async def row_of(kernel: Services, id: str, account_id: str | None) -> MediaRow:
    """A recording of an account, or of whichever has it: whoever runs commands runs the host.

    Raises:
        MediaMissing
    """
    wanted = {"id": id, **({} if account_id is None else {"account_id": account_id})}
    kept = await kernel.get(PARTS).repo.dialect.find_one(MEDIA_ROWS, wanted)
    if kept is None:
        raise missing()
    return recording(kept)


# --- put ------------------------------------------------------------------------------------------------------


def _metadata(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, Any] | None:
    """``k=v`` as often as it is given; a value that is JSON is that, and otherwise a text."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{one!r} is not of the form name=value")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found or None


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--account", "account_id", required=True, help="The id of the account that they are for.")
@click.option("--session", "session_id", help="The session that they are takes of.")
@click.option("--take", "take_index", type=click.IntRange(min=0), help="Which take the first one is; others follow it.")
@click.option("--metadata", multiple=True, callback=_metadata, metavar="NAME=VALUE", help="Once for each.")
@as_json
@click.pass_obj
def put(
    obj: CommandContext,
    files: tuple[str, ...],
    account_id: str,
    session_id: str | None,
    take_index: int | None,
    metadata: Mapping[str, Any] | None,
) -> None:
    """Store files as recordings of an account; - is standard input.

    What they are is told by their first bytes. Nothing is stored where one of them is not there.
    """
    _check_readable(files)
    stored: list[MediaRow] = []

    async def job(kernel: Services) -> None:
        for number, name in enumerate(files):
            said = {
                "session_id": session_id,
                "take_index": None if take_index is None else take_index + number,
                "metadata": metadata,
            }
            try:
                row = await _stored(obj, kernel, name, account_id, said)
            except MediaError as error:
                error.where = error.where or plain(name)
                error.why = (*error.why, _before(list(files[:number]), stored))
                raise
            stored.append(row)
            if not obj.json:
                click.echo(f"{row.id}  {plain(name)}: {row.mime_type}, {size(row.size_bytes)}")

    try:
        obj.run(job)
    finally:  # one that fails leaves those before it where they are
        if obj.json:
            print_json([document(row) for row in stored])


def _check_readable(files: Sequence[str]) -> None:
    """Before anything is stored.

    Raises:
        click.ClickException: names what is not there, or cannot be read.
    """
    wrong: list[str] = []
    for name in dict.fromkeys(files):
        if name == STANDARD:
            continue
        try:
            mode = os.stat(name).st_mode
        except (OSError, ValueError) as error:  # a name with a zero in it is none
            wrong.append(f"{plain(name)} cannot be read: {getattr(error, 'strerror', None) or error}")
            continue
        if stat.S_ISDIR(mode):
            wrong.append(f"{plain(name)} is a folder")
        elif not os.access(name, os.R_OK):
            wrong.append(f"{plain(name)} cannot be read: {os.strerror(errno.EACCES)}")
    if wrong:
        raise click.ClickException("; ".join([*shortened(wrong), "nothing was stored"]))


def _before(names: Sequence[str], stored: Sequence[MediaRow]) -> str:
    """What an error says of the files before the one that failed."""
    told = [f"{plain(name)} ({row.id})" for name, row in zip(names, stored, strict=True)]
    return f"stored before it: {', '.join(shortened(told)) or 'nothing'}"


async def _stored(
    obj: CommandContext, kernel: Services, name: str, account_id: str, said: Mapping[str, Any]
) -> MediaRow:
    kind = mimetypes.guess_type(name)[0] or ""
    with _opened(name) as (file, length):
        bar = ByteBar(obj, f"storing {plain(name)}", length or 0)
        try:
            async with aclosing(_pieces(file, bar)) as body:
                media = kernel.get(MEDIA)
                return (await media.create_recording(account_id, body, mime_type=kind, size=length, **said)).row
        finally:
            bar.end()


@contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """A file and its size, which standard input has not."""
    if name == STANDARD:
        yield sys.stdin.buffer, None
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise click.ClickException(f"{name} cannot be read: {error.strerror}") from None
    with file:
        yield file, os.fstat(file.fileno()).st_size


async def _pieces(file: BinaryIO, bar: ByteBar) -> AsyncGenerator[bytes]:
    while piece := await anyio.to_thread.run_sync(file.read, PIECE):
        yield piece
        bar.add(len(piece))


# --- get ------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("id")
@click.option("-o", "--output", metavar="FILE", help="Where to; - is standard output. By default named as its id is.")
@click.option("--force", is_flag=True, help="Replace FILE where there is one.")
@of_account
@as_json
@click.pass_obj
def get(obj: CommandContext, id: str, output: str | None, force: bool, account_id: str | None) -> None:
    """Write the content of a recording into a file.

    FILE appears once all of it is there, and is what was stored. A command that was broken off goes on, the next time,
    with what it has left in FILE.ID.part.
    """

    async def job(kernel: Services) -> tuple[MediaRow, str]:
        row = await row_of(kernel, id, account_id)
        if row.status != "ready":
            raise missing()
        name = output or f"{row.id}{PurePosixPath(row.key).suffix}"
        if name == STANDARD:
            await _printed(obj, kernel, row)
        else:
            await _Download(obj, row, Path(name), force).run(kernel)
        return row, name

    row, name = obj.run(job)
    if name != STANDARD:
        if obj.json:
            print_json({**document(row), "file": name})
        else:
            click.echo(f"{plain(name)}: {row.mime_type}, {size(row.size_bytes)}")


async def _printed(obj: CommandContext, kernel: Services, row: MediaRow) -> None:
    bar, out = ByteBar(obj, f"reading {row.id}", row.size_bytes), sys.stdout.buffer
    running = hashlib.sha256()
    async with kernel.get(MEDIA).open_content(row.account_id, row.id) as pieces:
        async for piece in pieces:
            await anyio.to_thread.run_sync(out.write, piece)
            running.update(piece)
            bar.add(len(piece))
    await anyio.to_thread.run_sync(out.flush)
    bar.end()
    if running.hexdigest() != row.checksum:
        raise _other(row)


class _Download:
    """A file that is written beside where it will be."""

    def __init__(self, obj: CommandContext, row: MediaRow, target: Path, force: bool) -> None:
        self._obj = obj
        self._row = row
        self._target = target
        self._part = target.with_name(f"{target.name}.{row.id}.part")
        self._force = force
        self._running = hashlib.sha256()

    async def run(self, kernel: Services) -> None:
        """Write what is missing, and give the file its name.

        Raises:
            ChecksumMismatch: it is not what was stored; nothing of it is kept.
        """
        if self._target.exists() and not self._force:
            raise click.ClickException(f"{self._target} is there already; --force replaces it")
        try:
            await self._written(kernel)
        except OSError as error:
            raise click.ClickException(f"{self._part} cannot be written: {error.strerror}") from None
        except MediaError:
            if not self._part.stat().st_size:
                self._part.unlink()
            raise
        if self._running.hexdigest() != self._row.checksum:
            self._part.unlink()
            raise _other(self._row)
        os.replace(self._part, self._target)

    async def _written(self, kernel: Services) -> None:
        row, bar = self._row, ByteBar(self._obj, f"reading {self._row.id}", self._row.size_bytes)
        with self._part.open("ab+") as file:
            had = await anyio.to_thread.run_sync(self._had, file, bar)
            if had < row.size_bytes:
                async with kernel.get(MEDIA).open_content(row.account_id, row.id, had) as pieces:
                    async for piece in pieces:
                        await anyio.to_thread.run_sync(self._add, file, piece)
                        bar.add(len(piece))
            file.flush()
            os.fsync(file.fileno())
        bar.end()

    def _had(self, file: BinaryIO, bar: ByteBar) -> int:
        """How much a broken command has left; it is hashed too."""
        file.seek(0)
        had = 0
        while piece := file.read(PIECE):
            self._running.update(piece)
            had += len(piece)
            bar.add(len(piece))
        return had

    def _add(self, file: BinaryIO, piece: bytes) -> None:
        file.write(piece)
        self._running.update(piece)


def _other(row: MediaRow) -> ChecksumMismatch:
    return ChecksumMismatch(
        f"the content of {row.id} is not what was stored",
        why="the SHA-256 of its bytes is not the one of its row",
        fix="`objectkernel media verify` tells what else is damaged; the store's backup has what was stored",
        algorithm="sha256",
    )
