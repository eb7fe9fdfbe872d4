"""Discovery: entry points from metadata, their cache, and importing what they lead to."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from objectkernel import discovery, discovery_cache, distributions
from objectkernel.discovery import Discovery, EntryPoint, cache_folder, conflict, discover, load
from objectkernel.errors import EntryPointInvalid, PluginImportFailed

PLUGIN = "[objectkernel.plugins.v1]\nacme-billing = acme_billing:Billing\n"
OLD = time.time_ns() - 60_000_000_000


def age(*paths: Path) -> None:
    """Let files and folders look as if they had been there for a minute, so that a cache may trust them."""
    for path in paths:
        os.utime(path, ns=(OLD, OLD))


def age_all(site: Path) -> None:
    age(*site.rglob("*"), site)


def install(site: Path, name: str, version: str = "1.0", entries: str | None = None, metadata: str = "") -> Path:
    """Put a distribution's metadata into a site folder, as an installer does."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(
        metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no\n"
    )
    if entries is not None:
        (folder / "entry_points.txt").write_text(entries)
    return folder


def names(found: Discovery) -> list[str]:
    return [entry.name for entry in found.entry_points]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    install(folder, "requests", entries="[console_scripts]\nx = y:z\n")
    install(folder, "quiet")
    install(folder, "acme-billing", "1.2", PLUGIN)
    age_all(folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


# -- reading metadata


def test_entry_points_are_read_from_metadata(site: Path) -> None:
    """Name, reference, distribution and version are known without importing anything."""
    (entry,) = discover([str(site)], cache=None).entry_points
    assert entry == EntryPoint(
        name="acme-billing",
        reference="acme_billing:Billing",
        distribution="acme-billing",
        version="1.2",
        where=str(site / "acme_billing-1.2.dist-info" / "entry_points.txt"),
    )


def test_it_finds_what_importlib_finds(tmp_path: Path) -> None:
    """Comments, extras, blanks and other groups are read as importlib.metadata reads them."""
    text = (
        "# head\n[ console_scripts ]\nno = no:no\n\n[objectkernel.plugins.v1]\n  a=pkg.a:A  \n# b = pkg:B\n"
        "c = pkg.c:C [extra]\nd = pkg.d\n[other]\nno = no:no\n[objectkernel.plugins.v1]\ne : f = pkg:E\n"
    )
    install(tmp_path, "many", entries=text)
    (theirs,) = importlib.metadata.distributions(path=[str(tmp_path)])
    expected = {
        (e.name, e.value.partition("[")[0].strip()) for e in theirs.entry_points.select(group=distributions.PLUGINS)
    }
    assert {(e.name, e.reference) for e in discover([str(tmp_path)], cache=None).entry_points} == expected


def test_services_without_import(tmp_path: Path) -> None:
    """The group objectkernel.provides.v1 tells who would provide a service."""
    install(tmp_path, "one", entries=PLUGIN + "[objectkernel.provides.v1]\nacme.ledger = acme_billing:Billing\n")
    install(tmp_path, "two", entries="[objectkernel.provides.v1]\nacme.ledger = other:Other\n")
    found = discover([str(tmp_path)], cache=None)
    assert found.provides == {"acme.ledger": ("acme_billing:Billing", "other:Other")}


def test_the_same_entry_point_seen_twice_is_one(site: Path, tmp_path: Path) -> None:
    """A folder twice on the path, also by another name, and a copy of a distribution make one plugin."""
    install(tmp_path / "other", "Acme_Billing", "9.0", PLUGIN)
    link = tmp_path / "link"
    link.symlink_to(site)
    found = discover([str(site), str(site), f"{site}/../site", str(link), str(tmp_path / "other")], cache=None)
    assert [entry.version for entry in found.entry_points] == ["1.2"]


def test_a_distribution_that_is_shadowed_does_not_count(site: Path, tmp_path: Path) -> None:
    """Of two distributions of one name the first on the path counts, even if only the second has plugins."""
    install(tmp_path / "first", "acme.billing", "2.0")
    assert names(discover([str(tmp_path / "first"), str(site)], cache=None)) == []


def test_editable_and_egg_metadata_count(tmp_path: Path) -> None:
    """A source folder's egg-info and an unpacked egg are distributions too."""
    egg_info = tmp_path / "src" / "one.egg-info"
    egg_info.mkdir(parents=True)
    (egg_info / "PKG-INFO").write_text("Name: one\nVersion: 3\n")
    (egg_info / "entry_points.txt").write_text("[objectkernel.plugins.v1]\none = one:One\n")
    egg = tmp_path / "two-4-py3.11.egg" / "EGG-INFO"
    egg.mkdir(parents=True)
    (egg / "PKG-INFO").write_text("Name: two\nVersion: 4\n")
    (egg / "entry_points.txt").write_text("[objectkernel.plugins.v1]\ntwo = two:Two\n")
    found = discover([str(tmp_path / "src"), str(egg.parent)], cache=None)
    assert [(e.name, e.distribution, e.version) for e in found.entry_points] == [
        ("one", "one", "3"),
        ("two", "two", "4"),
    ]


def test_archives_on_the_path_are_read(tmp_path: Path, cache: Path) -> None:
    """A zip file on the path has its distributions, from the cache too."""
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped-1.0.dist-info/METADATA", "Name: zipped\nVersion: 1.0\n")
        file.writestr("zipped-1.0.dist-info/entry_points.txt", "[objectkernel.plugins.v1]\nzipped = zipped:Zipped\n")
    age(archive)
    for _ in range(2):
        (entry,) = discover([str(archive)], cache).entry_points
        assert (entry.name, entry.distribution, entry.version, entry.where) == (
            "zipped",
            "zipped",
            "1.0",
            str(archive),
        )


def test_strange_things_on_the_path_do_no_harm(tmp_path: Path) -> None:
    """Missing folders, files that are no archives, files in place of folders, and bytes that are no text."""
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "old.egg-info").write_text("Name: old\n")
    folder = install(tmp_path, "bytes")
    (folder / "entry_points.txt").write_bytes(b"\xff\n[objectkernel.plugins.v1]\nx = x:X\n")
    found = discover([str(tmp_path), str(tmp_path / "missing"), str(tmp_path / "file.txt"), "nul\0"], cache=None)
    assert names(found) == ["x"]


def test_the_current_folder_is_searched(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The empty entry of sys.path is the current folder; sys.path is the default."""
    monkeypatch.chdir(site)
    monkeypatch.setattr(sys, "path", [""])
    assert names(discover(cache=None)) == ["acme-billing"]


def test_discovery_does_not_import_importlib_metadata(site: Path) -> None:
    """The metadata of folders is read without importlib.metadata, json or any plugin."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from objectkernel.discovery import discover\n"
        f"assert discover([{str(site)!r}], cache=None).entry_points\n"
        "heavy = {'importlib.metadata', 'json', 'email', 'tomllib', 'acme_billing'}\n"
        "assert not heavy & (set(sys.modules) - before)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- several of one name


def test_two_different_entry_points_of_one_name_are_a_conflict(site: Path) -> None:
    """Both are found; which of them counts is for the host to say."""
    install(site, "rival", entries="[objectkernel.plugins.v1]\nacme-billing = rival:Billing\n")
    found = discover([str(site)], cache=None)
    assert [(e.name, e.distribution) for e in found.entry_points] == [
        ("acme-billing", "acme-billing"),
        ("acme-billing", "rival"),
    ]
    error = conflict("acme-billing", found.entry_points)
    assert error.facts["distributions"] == ("acme-billing", "rival")
    assert "[kernel.distributions]" in error.fix


# -- the cache


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Each reading of the metadata, as opposed to an answer from the cache."""
    made: list[tuple[str, ...]] = []

    def counting(folders: tuple[str, ...]) -> distributions.Scan:
        made.append(folders)
        return distributions.scan(folders)

    monkeypatch.setattr(discovery, "scan", counting)
    return made


def test_a_second_discovery_reads_the_cache(site: Path, cache: Path, scans: list[object]) -> None:
    """While nothing has changed the answer comes from the cache file, and is the same."""
    assert discover([str(site)], cache) == discover([str(site)], cache)
    assert len(scans) == 1


def test_each_path_has_a_cache_of_its_own(site: Path, cache: Path, tmp_path: Path, scans: list[object]) -> None:
    """Two search paths do not push each other out."""
    other = tmp_path / "empty"
    other.mkdir()
    age(other)
    for _ in range(2):
        assert names(discover([str(site)], cache)) == ["acme-billing"]
        assert names(discover([str(other)], cache)) == []
    assert len(scans) == 2


def edit(site: Path) -> None:
    path = site / "acme_billing-1.2.dist-info" / "entry_points.txt"
    path.write_text(PLUGIN + "extra = acme_billing:Extra\n")


def edit_to_same_size(site: Path) -> None:
    path = site / "acme_billing-1.2.dist-info" / "entry_points.txt"
    path.write_text(PLUGIN.replace("acme-billing =", "extra-extra1="))


def replace_keeping_time(site: Path) -> None:
    path = site / "acme_billing-1.2.dist-info" / "entry_points.txt"
    new = path.with_name("new")
    new.write_text(PLUGIN.replace("acme-billing =", "extra-extra1="))
    age(new)
    new.replace(path)
    age(path.parent)


def add_group(site: Path) -> None:
    (site / "requests-1.0.dist-info" / "entry_points.txt").write_text("[objectkernel.plugins.v1]\nextra = r:R\n")


def add_file(site: Path) -> None:
    (site / "quiet-1.0.dist-info" / "entry_points.txt").write_text("[objectkernel.plugins.v1]\nextra = q:Q\n")


def add_distribution(site: Path) -> None:
    install(site, "extra", entries="[objectkernel.plugins.v1]\nextra = e:E\n")


def upgrade(site: Path) -> None:
    remove(site)
    install(site, "acme-billing", "1.3", PLUGIN + "extra = acme_billing:Extra\n")


def remove(site: Path) -> None:
    folder = site / "acme_billing-1.2.dist-info"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize(
    "change", [edit, edit_to_same_size, replace_keeping_time, add_group, add_file, add_distribution, upgrade]
)
def test_a_change_is_noticed(site: Path, cache: Path, change: object) -> None:
    """Edited in place, replaced, added, upgraded: the next discovery sees it."""
    assert names(discover([str(site)], cache)) == ["acme-billing"]
    change(site)  # type: ignore[operator]
    assert any(name.startswith("extra") for name in names(discover([str(site)], cache)))


def test_a_removal_is_noticed(site: Path, cache: Path) -> None:
    """A plugin that was uninstalled is gone at once; so is one whose whole folder is gone."""
    discover([str(site)], cache)
    remove(site)
    assert names(discover([str(site)], cache)) == []
    site.rename(site.with_name("elsewhere"))
    assert names(discover([str(site)], cache)) == []


def test_a_folder_that_appears_is_noticed(tmp_path: Path, cache: Path) -> None:
    """An entry of the path that was missing is looked at again."""
    folder = tmp_path / "late"
    assert names(discover([str(folder)], cache)) == []
    install(folder, "acme", entries=PLUGIN)
    assert names(discover([str(folder)], cache)) == ["acme-billing"]


def test_a_changed_version_is_noticed(site: Path, cache: Path) -> None:
    """The METADATA of a distribution with plugins is watched as well."""
    discover([str(site)], cache)
    (site / "acme_billing-1.2.dist-info" / "METADATA").write_text("Name: Acme\nVersion: 1.2.post1\n")
    (entry,) = discover([str(site)], cache).entry_points
    assert (entry.distribution, entry.version) == ("Acme", "1.2.post1")


def test_what_changed_just_now_is_not_trusted(site: Path, cache: Path, scans: list[object]) -> None:
    """A file changed within a clock tick of its reading may change again unseen, so it is read again."""
    edit(site)
    discover([str(site)], cache)
    discover([str(site)], cache)
    assert len(scans) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"objectkernel discovery 0 cpython-27\n....", "cut", "flipped", "emptied"],
)
def test_a_broken_cache_is_ignored_and_rewritten(
    site: Path, cache: Path, content: bytes | str, scans: list[object]
) -> None:
    """A cache that is empty, foreign, cut short or corrupt is as good as none."""
    discover([str(site)], cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    broken = {
        "cut": whole[:-7],
        "flipped": whole[:-9] + bytes([whole[-9] ^ 255]) + whole[-8:],
        "emptied": whole[:60],
    }
    file.write_bytes(broken[content] if isinstance(content, str) else content)
    assert names(discover([str(site)], cache)) == ["acme-billing"]
    assert names(discover([str(site)], cache)) == ["acme-billing"]
    assert len(scans) == 2
    assert [path.name for path in cache.iterdir()] == [file.name]


def test_a_cache_of_another_shape_is_ignored(site: Path, cache: Path) -> None:
    """Content that is whole but not what is expected is as good as none."""
    import marshal
    import zlib

    discover([str(site)], cache)
    (file,) = cache.iterdir()
    body = marshal.dumps(None)
    file.write_bytes(discovery_cache._FORMAT + zlib.crc32(body).to_bytes(4, "big") + body)
    assert names(discover([str(site)], cache)) == ["acme-billing"]


def test_two_paths_with_one_file_name_do_not_mix(site: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache file holds its search path; that of another one is not taken for it."""
    monkeypatch.setattr("objectkernel.discovery_cache.zlib.crc32", lambda data: 7)
    discover([str(site)], cache)
    assert names(discover([str(site / "nothing")], cache)) == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX users")
def test_a_cache_of_another_user_is_not_read(
    site: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, scans: list[object]
) -> None:
    """What another user wrote does not decide what this one imports."""
    discover([str(site)], cache)
    monkeypatch.setattr(os, "getuid", lambda: 424242)
    discover([str(site)], cache)
    assert len(scans) == 2


def test_an_unwritable_cache_is_silent(site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the cache cannot be written discovery works, and says so at the level debug only."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with caplog.at_level(logging.DEBUG, "objectkernel.discovery"):
        assert names(discover([str(site)], blocked / "cache")) == ["acme-billing"]
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


def test_many_at_once_leave_one_good_cache(site: Path, cache: Path) -> None:
    """Whoever discovers at the same time gets the whole answer, and no scratch file stays."""
    results: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: results.extend(names(discover([str(site)], cache)) for _ in range(20)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [["acme-billing"]] * 160
    assert len(list(cache.iterdir())) == 1


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OBJECTKERNEL_CACHE_DIR names it, OBJECTKERNEL_NO_CACHE=1 turns it off, else the platform says where."""
    monkeypatch.delenv("OBJECTKERNEL_NO_CACHE", raising=False)
    monkeypatch.setenv("OBJECTKERNEL_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("OBJECTKERNEL_NO_CACHE", "0")
    assert cache_folder() == tmp_path
    monkeypatch.setenv("OBJECTKERNEL_NO_CACHE", "1")
    assert cache_folder() is None


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/c"}, "/c/objectkernel"),
        ("linux", {"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/objectkernel"),
        ("linux", {"HOME": "/h"}, "/h/.cache/objectkernel"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Caches/objectkernel"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/objectkernel"),
        ("win32", {}, None),
    ],
)
def test_the_platforms_place_for_caches(
    platform: str, environ: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each platform's custom is followed; without a home there is no cache."""
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("OBJECTKERNEL_CACHE_DIR", "OBJECTKERNEL_NO_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == (Path(expected) if expected else None)


def test_the_default_cache_is_used(site: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the cache is where `cache_folder` says."""
    monkeypatch.delenv("OBJECTKERNEL_NO_CACHE", raising=False)
    monkeypatch.setenv("OBJECTKERNEL_CACHE_DIR", str(cache))
    discover([str(site)])
    assert len(list(cache.iterdir())) == 1


# -- importing


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a fresh module with the source that the test gives as parameter."""
    name = f"module_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(request.param)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def entry(reference: str) -> EntryPoint:
    return EntryPoint("acme-billing", reference, "acme", "1.2", "/site/acme/entry_points.txt")


@pytest.mark.parametrize("module", ["class Billing:\n    class Inner: pass\n"], indirect=True)
def test_load_gives_what_the_reference_names(module: str) -> None:
    """A reference is a module, and a dotted name in it."""
    assert load(entry(f"{module}:Billing")).__name__ == "Billing"
    assert load(entry(f"{module} : Billing.Inner")).__name__ == "Inner"
    assert load(entry(module)).__name__ == module


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("raise ValueError('boom')", ValueError),
        ("import sys; sys.exit(3)", SystemExit),
        ("class Odd(BaseException): pass\nraise Odd('odd')", BaseException),
        ("def broken(:", SyntaxError),
        ("def __getattr__(name): raise RuntimeError(name)", RuntimeError),
    ],
    indirect=["module"],
)
def test_whatever_an_import_raises_is_the_plugins_failure(module: str, cause: type[BaseException]) -> None:
    """Any exception, SystemExit too, is PluginImportFailed with its cause and traceback."""
    with pytest.raises(PluginImportFailed) as caught:
        load(entry(f"{module}:Billing"))
    assert isinstance(caught.value.__cause__, cause)
    assert f"{module}.py" in caught.value.facts["traceback"]
    assert caught.value.facts["name"] == "acme-billing"


@pytest.mark.parametrize("module", ["\n\nraise ValueError('boom')"], indirect=True)
def test_an_import_failure_tells_where_and_how_to_look(module: str) -> None:
    """The message has the line that raised, the distribution, and a command that shows the failure alone."""
    with pytest.raises(PluginImportFailed) as caught:
        load(entry(f"{module}:Billing"))
    assert caught.value.where.endswith(f"{module}.py:3")
    text = str(caught.value)
    assert "ValueError: boom" in text and "acme 1.2" in text and f"python -c 'import {module}'" in text


@pytest.mark.parametrize("module", ["raise KeyboardInterrupt"], indirect=True)
def test_keyboard_interrupt_passes(module: str) -> None:
    """The user's wish to stop is nobody's failure."""
    with pytest.raises(KeyboardInterrupt):
        load(entry(f"{module}:Billing"))


@pytest.mark.parametrize("module", ["import not_installed_at_all"], indirect=True)
def test_a_missing_dependency_is_named(module: str) -> None:
    """A module that the plugin imports and that is not there is named in the fix; so is the plugin's own."""
    with pytest.raises(PluginImportFailed) as caught:
        load(entry(f"{module}:Billing"))
    assert "install what has the module not_installed_at_all" in caught.value.fix
    with pytest.raises(PluginImportFailed) as caught:
        load(entry("not_installed_at_all.sub:Billing"))
    assert "install acme again" in caught.value.fix


@pytest.mark.parametrize("module", ["class Billing: pass"], indirect=True)
def test_a_missing_name_is_told_with_the_nearest(module: str) -> None:
    """A reference to what the module does not have is an invalid entry point."""
    with pytest.raises(EntryPointInvalid) as caught:
        load(entry(f"{module}:Biling"))
    assert caught.value.facts["known"] == ("Billing",)
    assert caught.value.where == "/site/acme/entry_points.txt"


@pytest.mark.parametrize("reference", ["", "a b:c", "module:", ":Billing", "module:a:b", "1 +"])
def test_a_malformed_reference_is_invalid(reference: str) -> None:
    """What is not module.path:name is told before anything is imported."""
    with pytest.raises(EntryPointInvalid, match="malformed"):
        load(entry(reference))
