"""Archives of anybody's making: read without harm, or refused."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tracemalloc
import zipfile

import pytest
from objectkernel_package_service.archive import FORMAT, ArchiveReader
from objectkernel_package_service.canonical import canonical
from objectkernel_package_service.contracts import ArchiveInvalid

LONGEST = 10_000
CONTENT = canonical({"manifest": {"id": "crm", "version": "1.0.0"}, "metadata": {}})
FILE = "packages/crm/1.0.0.json"
SAID = {"visibility": "public", "policy": "mutable", "tags": {}}


def version(content=CONTENT, **changes):
    return {"id": "crm", "version": "1.0.0", "hash": hashlib.sha256(content).hexdigest()} | changes


def index(**changes):
    return {"format": FORMAT, "packages": {"crm": SAID}, "versions": [version()]} | changes


def archive(*more, told=None, content=CONTENT, name=FILE, packing=zipfile.ZIP_DEFLATED):
    """A zip of an index, one version and whatever else."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as made:
        made.writestr("index.json", told if isinstance(told, bytes) else json.dumps(told or index()))
        made.writestr(name, content)
        for other, text in more:
            made.writestr(other, text)
    return file


def read(file):
    """The bytes of every version."""
    reader = ArchiveReader(file, LONGEST)
    return [reader.content(one) for one in reader.index.versions]


def refused(file):
    with pytest.raises(ArchiveInvalid) as caught:
        read(file)
    return caught.value.why[0]


def test_a_sound_archive_is_read():
    """Its bytes are those that were published."""
    assert read(archive()) == [CONTENT]


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "packages/../x.json", "packages\\crm\\x.json", "C:/x", "x\x00y", "packages/"],
)
def test_a_name_that_the_index_does_not_know_is_refused(name):
    """Whatever it would lead to as a path: no name in an archive becomes one."""
    assert "in its index 0 times" in refused(archive((name, b"x")))


def test_names_that_would_be_paths_are_no_ids():
    """Also where index and archive agree on them."""
    told = index(packages={"../up": SAID}, versions=[version(id="../up")])
    assert "no package can be called '../up'" in refused(archive(told=told, name="packages/../up/1.0.0.json"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_twice_is_refused():
    """Two readers would see two packages."""
    assert "2 times" in refused(archive((FILE, b"other")))


def test_a_bomb_is_not_unpacked():
    """No more of a file is unpacked than a package may have, whatever it says of its size."""
    bomb = b"0" * 50_000_000
    assert "has more than 10,000 bytes" in refused(archive(told=index(versions=[version(bomb)]), content=bomb))


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_what_cannot_be_unpacked_piece_by_piece_is_refused(packing):
    """A few bytes of it become gigabytes before anybody can count them: not even the index is unpacked."""
    bomb = b"0" * 50_000_000
    file = archive(told=index(versions=[version(bomb)]), content=bomb, packing=packing)
    tracemalloc.start()
    assert "is not packed as an export packs it" in refused(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_size_that_is_a_lie_is_found():
    """A directory that tells of fewer bytes than come out."""
    bomb = b"0" * 20_000
    file = archive(told=index(versions=[version(bomb)]), content=bomb)
    told = file.getvalue().replace(struct.pack("<I", len(bomb)), struct.pack("<I", 100))
    assert refused(io.BytesIO(told))


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (b"{", "not JSON"),
        (b"[]", "is not what it should be"),
        (b"\xff", "not UTF-8"),
        (b'{"format": "x", "format": "x"}', "stands twice"),
        (index(format="other"), "its format is 'other'"),
        (index(more=1), "is not what it should be"),
        (index(versions=[version(yanked="yes")]), "is not what it should be"),
        (index(versions=[version(hash=5)]), "is not what it should be"),
        (index(packages={"crm": SAID | {"policy": "odd"}}), "is not what it should be"),
        (index(packages={}), "no package can be called 'crm'"),
        (index(packages={"crm": SAID | {"tags": {"latest": "1.0.0"}}}), "'latest' can be no dist-tag"),
        (index(packages={"crm": SAID | {"tags": {"stable": "2.0.0"}}}), "'stable' can be no dist-tag"),
        (index(versions=[version(version="latest")]), "no package can be called 'crm' 'latest'"),
        (index(versions=[version(), version()]), "in its index 2 times"),
        (index(versions=[]), "in its index 0 times"),
        (index(versions=[version(hash="0" * 64)]), "have not the hash"),
        (index(versions=[version(id="hr")], packages={"hr": SAID}), "times"),
        (index(versions=[version(deprecated="x" * 1001)]), "the deprecation of crm@1.0.0: a text of 1 to 1000"),
        (index(packages={"crm": SAID | {"tags": {f"t{n}": "1.0.0" for n in range(101)}}}), "'crm' has 101 dist-tags"),
    ],
    ids=range(19),
)
def test_an_index_that_is_wrong_is_refused(told, what):
    """Whatever is wrong with it is told, and nothing is imported."""
    assert what in refused(archive(told=told))


@pytest.mark.parametrize(
    "content",
    [
        b'{"manifest": {"id":"crm","version":"1.0.0"},"metadata":{}}',
        canonical({"manifest": {"id": "hr", "version": "1.0.0"}, "metadata": {}}),
        b"[]",
        b"null",
        b"{",
        b'{"manifest":{"id":"crm","version":"1.0.0"},"metadata":{"a":1e400}}',
    ],
    ids=["not canonical", "another package", "a list", "null", "cut off", "infinite"],
)
def test_content_that_is_not_the_package_is_refused(content):
    """Its hash may be right: it must be the canonical bytes of that very package."""
    assert "is not the canonical JSON" in refused(archive(told=index(versions=[version(content)]), content=content))


@pytest.mark.parametrize("cut", [0, 1, 30, 100, -1])
def test_what_is_no_zip_or_cut_off_is_refused(cut):
    """Told as such, and not as a fault of code."""
    assert refused(io.BytesIO(archive().getvalue()[:cut]))


def test_every_flipped_byte_is_noticed_or_harmless():
    """Whatever byte is damaged: the archive is refused, or its packages are the ones that were exported."""
    sound = archive().getvalue()
    for position in range(len(sound)):
        file = io.BytesIO(sound[:position] + bytes([sound[position] ^ 0xFF]) + sound[position + 1 :])
        try:
            assert read(file) == [CONTENT]
        except ArchiveInvalid:
            continue
