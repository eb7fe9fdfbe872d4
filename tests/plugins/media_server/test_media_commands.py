"""``objectkernel media``, run as click runs it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from objectkernel import ObjectKernel
from objectkernel_media_server.commands import media
from objectkernel_media_server.commands_output import size
from objectkernel_media_server.contracts import MEDIA, ChecksumMismatch, MediaMissing, MediaTypeRefused
from objectkernel_media_server.entities import MEDIA as MEDIA_ROWS
from objectkernel_media_server.parts import PARTS

from tests.contrib.accounts.commanding import Commands
from tests.plugins.media_server.databases import webm
from tests.plugins.media_server.kernels import in_folder

LARGE = 3 * 2**20


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Commands over a host whose data lies in a folder; they are run in another one, which is empty."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return Commands(lambda: in_folder(tmp_path / "data", collect_grace=0.0))


def film(name: str, length: int = 1000) -> Path:
    path = Path(name)
    path.write_bytes(webm(length))
    return path


def put(run: Commands, *arguments: object, account: str = "acc") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.as_json(media, "put", *arguments, "--account", account)
    return found


def blob(tmp_path: Path) -> Path:
    """The only file of the store."""
    (found,) = (path for path in (tmp_path / "data/media/media-recordings").rglob("*") if path.is_file())
    return found


# --- put ----------------------------------------------------------------------------------------------------


def test_files_become_takes_of_a_session(run: Commands) -> None:
    """One after another, with what is said of them; what they are is what their first bytes say."""
    film("a.webm"), film("b.bin", 2000)
    said = ("--session", "s1", "--take", 4, "--metadata", "room=blue", "--metadata", "seats=12")
    first, second = put(run, "a.webm", "b.bin", *said)
    assert (first["take_index"], second["take_index"]) == (4, 5)
    assert first["metadata"] == {"room": "blue", "seats": 12}
    assert (second["mime_type"], second["size_bytes"], second["status"]) == ("video/webm", 2000, "ready")
    assert second["checksum"] == hashlib.sha256(webm(2000)).hexdigest()
    done = run(media, "put", "a.webm", "--account", "acc")
    assert done.stdout.endswith("a.webm: video/webm, 1000 B\n")


def test_standard_input_is_stored(run: Commands) -> None:
    """Whatever its length, which nobody has said."""
    done = CliRunner().invoke(media, ["put", "-", "--account", "acc"], obj=run, input=webm(LARGE))
    assert done.exit_code == 0, done.exception
    (row,) = run.as_json(media, "list")
    assert row["size_bytes"] == LARGE


def test_a_file_that_is_refused_leaves_those_before_it(run: Commands) -> None:
    """They are told, and stay."""
    film("a.webm")
    Path("page.html").write_text("<html></html>")
    with pytest.raises(MediaTypeRefused) as refused:
        run(media, "put", "a.webm", "page.html", "--account", "acc", "--json")
    (row,) = run.as_json(media, "list")
    assert refused.value.where == "page.html"
    assert refused.value.why[-1] == f"stored before it: a.webm ({row['id']})"
    with pytest.raises(MediaTypeRefused) as refused:
        run(media, "put", "page.html", "a.webm", "--account", "acc")
    assert refused.value.why[-1] == "stored before it: nothing"


def test_files_are_looked_for_first(run: Commands) -> None:
    """Where one is not there nothing is stored, and all that are not are named."""
    film("a.webm")
    Path("folder").mkdir()
    done = run(media, "put", "a.webm", "nowhere.webm", "folder", "not\0one", "--account", "acc")
    assert done.exit_code == 1
    for told in ("nowhere.webm cannot be read: No such file", "folder is a folder", "null", "nothing was stored"):
        assert told in done.stderr
    assert "a.webm cannot" not in done.stderr
    assert run.as_json(media, "list", "--status", "failed", "--status", "ready") == []


@pytest.mark.parametrize(
    "arguments", [("nowhere.webm",), ("a.webm", "--metadata", "novalue"), ("a.webm", "--take", -1)]
)
def test_what_cannot_be_put(run: Commands, arguments: tuple[object, ...]) -> None:
    """A file that is not there, and what is said in another form."""
    film("a.webm")
    done = run(media, "put", *arguments, "--account", "acc")
    assert done.exit_code != 0
    assert run.as_json(media, "list") == []


# --- list ---------------------------------------------------------------------------------------------------


def test_a_list_of_recordings(run: Commands) -> None:
    """Of all accounts, of one, of a session, in a state, so many; a table for people."""
    assert "there are no recordings" in run(media, "list").stderr
    film("a.webm")
    mine = put(run, "a.webm", "a.webm", "--session", "s1", "--take", 1)
    (other,) = put(run, "a.webm", account="zoe")
    run(media, "rm", other["id"], "--yes")
    (last,) = put(run, "a.webm", account="zoe")
    assert [row["id"] for row in run.as_json(media, "list")] == [mine[1]["id"], mine[0]["id"], last["id"]]
    assert [row["id"] for row in run.as_json(media, "list", "--account", "zoe")] == [last["id"]]
    assert [row["id"] for row in run.as_json(media, "list", "--session", "s1")] == [row["id"] for row in mine]
    deleted = run.as_json(media, "list", "--status", "deleted", "--account", "zoe")
    assert [row["id"] for row in deleted] == [other["id"]]
    assert len(run.as_json(media, "list", "--limit", 2)) == 2
    table = run(media, "list").stdout.splitlines()
    assert table[0].split() == ["ID", "ACCOUNT", "STATUS", "TYPE", "SIZE", "SESSION", "MADE", "(UTC)"]
    assert table[1].split()[:8] == [mine[1]["id"], "acc", "ready", "video/webm", "1000", "B", "s1", "#2"]


@pytest.mark.parametrize(("count", "told"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (200 * 2**30, "200 GiB")])
def test_bytes_for_people(count: int, told: str) -> None:
    assert size(count) == told


# --- get ----------------------------------------------------------------------------------------------------


def test_what_was_put_can_be_got(run: Commands) -> None:
    """Into a file of its own name, of another, and onto standard output; nothing else is left."""
    (row,) = put(run, film("a.webm", LARGE))
    run(media, "get", row["id"])
    told = run.as_json(media, "get", row["id"], "-o", "b.webm")
    assert told["file"] == "b.webm"
    done = CliRunner().invoke(media, ["get", row["id"], "-o", "-"], obj=run)
    assert done.stdout_bytes == webm(LARGE)
    assert sorted(path.name for path in Path().iterdir()) == sorted([f"{row['id']}.webm", "a.webm", "b.webm"])
    assert Path(f"{row['id']}.webm").read_bytes() == Path("b.webm").read_bytes() == webm(LARGE)


def test_a_file_that_is_there_is_not_replaced(run: Commands) -> None:
    """Unless that is said."""
    (row,) = put(run, film("a.webm"))
    Path("b.webm").write_text("precious")
    refused = run(media, "get", row["id"], "-o", "b.webm")
    assert refused.exit_code == 1 and "--force" in refused.stderr
    assert Path("b.webm").read_text() == "precious"
    assert run(media, "get", row["id"], "-o", "b.webm", "--force").exit_code == 0
    assert Path("b.webm").read_bytes() == webm(1000)


def test_a_broken_get_goes_on(run: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has left is not read again from the store, and is hashed all the same."""
    (row,) = put(run, film("a.webm", LARGE))
    part = Path(f"b.webm.{row['id']}.part")
    part.write_bytes(webm(LARGE)[:2_500_000])
    read: list[int] = []
    kernel = run.make

    def made() -> ObjectKernel:
        """A kernel whose store tells from where it is read."""
        one = kernel()
        store_of = one.get

        def get(key: Any) -> Any:
            found = store_of(key)
            if key is MEDIA and not hasattr(found, "watched"):
                open_content = found.open_content
                found.watched = True
                found.open_content = lambda account, id, start=0, length=None: (
                    read.append(start) or open_content(account, id, start, length)
                )
            return found

        one.get = get  # type: ignore[method-assign]
        return one

    run.make = made
    run(media, "get", row["id"], "-o", "b.webm")
    assert read == [2_500_000]
    assert Path("b.webm").read_bytes() == webm(LARGE)
    assert not part.exists()


def test_damaged_content_is_not_kept(run: Commands, tmp_path: Path) -> None:
    """Neither what the store gives wrong, nor what was left wrong by something else."""
    (row,) = put(run, film("a.webm"))
    part = Path(f"b.webm.{row['id']}.part")
    part.write_bytes(b"something else")
    with pytest.raises(ChecksumMismatch):
        run(media, "get", row["id"], "-o", "b.webm")
    assert not part.exists() and not Path("b.webm").exists()
    run(media, "get", row["id"], "-o", "b.webm")
    path = blob(tmp_path)
    path.chmod(0o600)
    path.write_bytes(webm(1000, b"y"))
    for output in ("c.webm", "-"):
        with pytest.raises(ChecksumMismatch):
            run(media, "get", row["id"], "-o", output)
    assert not list(Path().glob("c.webm*"))


def test_a_recording_of_another_account_is_none(run: Commands) -> None:
    """For whoever names an account."""
    (row,) = put(run, film("a.webm"))
    for arguments in (("get", row["id"]), ("rm", row["id"], "--yes")):
        with pytest.raises(MediaMissing):
            run(media, *arguments, "--account", "zoe")
        with pytest.raises(MediaMissing):
            run(media, arguments[0], "nothing", *arguments[2:])


# --- rm -----------------------------------------------------------------------------------------------------


def test_recordings_are_deleted(run: Commands, tmp_path: Path) -> None:
    """After a question; their bytes go too."""
    rows = put(run, film("a.webm"), "a.webm")
    unasked = run(media, "rm", rows[0]["id"])
    assert unasked.exit_code == 2 and "give --yes" in unasked.stderr
    refused = CliRunner().invoke(media, ["rm", rows[0]["id"]], obj=run, input="n\n")
    assert refused.exit_code == 1 and "Delete" in refused.stderr
    assert len(run.as_json(media, "list")) == 2
    assert run.as_json(media, "rm", rows[0]["id"], "--yes") == [{"id": rows[0]["id"], "deleted": True}]
    assert blob(tmp_path).exists()
    with pytest.raises(MediaMissing):
        run(media, "rm", rows[1]["id"], rows[0]["id"], "--yes")
    assert run.as_json(media, "list") == []
    with pytest.raises(MediaMissing):
        run(media, "get", rows[1]["id"])


# --- gc -----------------------------------------------------------------------------------------------------


def test_garbage_is_collected(run: Commands, tmp_path: Path) -> None:
    """Told by kind; with --dry-run told alone."""
    assert "no garbage" in run(media, "gc").stderr
    (row,) = put(run, film("a.webm"))
    orphan = blob(tmp_path).with_name(f"{row['id'][:-12]}{'0' * 12}.webm")
    orphan.write_bytes(b"nobody's")
    table = run(media, "gc", "--dry-run")
    assert table.stdout.splitlines()[1].split() == ["orphan", "1", "8", "B"]
    assert orphan.exists()
    told = run.as_json(media, "gc")
    assert told["kinds"]["orphan"] == {"count": 1, "bytes": 8}
    assert told["items"][0]["key"].endswith(orphan.name)
    assert not orphan.exists() and blob(tmp_path).exists()


def test_garbage_that_stays_is_told(run: Commands, tmp_path: Path) -> None:
    """And ends the command with 1, so that a timer notices."""
    (row,) = put(run, film("a.webm"))

    async def age(kernel: ObjectKernel) -> None:
        then = datetime.now(UTC) - timedelta(days=1)
        await kernel.get(PARTS).repo.dialect.update_many(
            MEDIA_ROWS, {"id": row["id"]}, {"status": "deleted", "purge_at": then, "key": "a-folder/in/the/way"}
        )

    run.run(age)
    (tmp_path / "data/media/media-recordings/a-folder/in/the/way/x").mkdir(parents=True)
    done = run(media, "gc")
    assert done.exit_code == 1 and "not all could be done" in done.stderr


# --- verify -------------------------------------------------------------------------------------------------


def verified(run: Commands, *arguments: object) -> tuple[int, dict[str, Any]]:
    done: Result = run(media, "verify", *arguments, "--json")
    return done.exit_code, json.loads(done.stdout)


def test_damage_is_found(run: Commands, tmp_path: Path) -> None:
    """A blob that is gone, one of another size, one of another content: each by its id, and the command ends with 1."""
    assert verified(run) == (0, {"recordings": 0, "bytes": 0, "wrong": []})
    rows = put(run, film("a.webm"), "a.webm", "a.webm", "a.webm")
    assert verified(run) == (0, {"recordings": 4, "bytes": 4000, "wrong": []})
    store = tmp_path / "data/media"
    paths = [store / row["bucket"] / row["key"] for row in rows]
    paths[0].unlink()
    paths[1].write_bytes(webm(999))
    paths[2].write_bytes(webm(1000, b"y"))
    code, told = verified(run)
    assert code == 1
    assert {(one["id"], one["finding"]) for one in told["wrong"]} == {
        (rows[0]["id"], "missing"),
        (rows[1]["id"], "size"),
        (rows[2]["id"], "checksum"),
    }
    assert verified(run, "--account", "zoe")[0] == 0
    lines = run(media, "verify")
    assert lines.exit_code == 1 and rows[0]["id"] in lines.stdout and "3 missing or damaged" in lines.stderr


def test_every_command_has_help() -> None:
    """Of itself, and of each option."""
    for command in media.commands.values():
        assert command.help
        assert all(option.help for option in command.params if isinstance(option, click.Option))
