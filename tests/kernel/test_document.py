"""Document: a configuration file or mapping, and the place of each key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from objectkernel.document import Document
from objectkernel.errors import ConfigFileInvalid, ConfigFileMissing, ConfigTypeInvalid, ConfigUnknownSection

TEXT = """\
[kernel]
optional = ["acme-billing"]

[plugins.acme-billing]
currency = "EUR"
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "objectkernel.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_gives_its_tables_with_their_lines(tmp_path: Path) -> None:
    """[kernel] and [plugins.<name>] are read, and each key has ``file:line``."""
    path = written(tmp_path, TEXT)
    document = Document.read(path)
    assert document.kernel == {"optional": ["acme-billing"]}
    assert document.plugins == {"acme-billing": {"currency": "EUR"}}
    assert document.where("kernel", "optional") == f"{path}:2"
    assert document.where("plugins", "acme-billing") == f"{path}:4"
    assert document.where("plugins", "acme-billing", "currency") == f"{path}:5"


def test_the_place_of_what_is_not_there_is_that_of_what_would_enclose_it(tmp_path: Path) -> None:
    """A missing key has the line of its section, a missing section the file."""
    path = written(tmp_path, TEXT)
    assert Document.read(path).where("plugins", "acme-billing", "other") == f"{path}:4"
    assert Document.read(path).where("nothing") == str(path)


@pytest.mark.parametrize("text", ["\ufeff[kernel]\nx = 1\n", "[kernel]\r\nx = 1\r\n"])
def test_files_of_other_editors_are_read(tmp_path: Path, text: str) -> None:
    """A byte order mark and Windows line ends do no harm."""
    document = Document.read(written(tmp_path, text))
    assert document.kernel == {"x": 1}
    assert document.where("kernel", "x").endswith(":2")


def test_the_path_is_told_as_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages have the name that the host gave."""
    written(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    assert Document.read("objectkernel.toml").where("kernel") == "objectkernel.toml:1"


def test_a_mapping_is_a_document_without_lines() -> None:
    """A mapping has the shape of the file; places are its keys."""
    document = Document.read({"plugins": {"a": {"x": 1}}})
    assert document.plugins == {"a": {"x": 1}}
    assert document.where("plugins", "a", "x") == "config mapping, plugins.a.x"


def test_none_is_an_empty_document() -> None:
    """No configuration has no tables and no problems."""
    document = Document.read(None)
    assert (document.kernel, document.plugins, document.problems) == ({}, {}, ())


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_named_file_that_cannot_be_read_is_an_error(tmp_path: Path, name: str) -> None:
    """A file that is absent, or is a folder, is ConfigFileMissing with its path."""
    with pytest.raises(ConfigFileMissing) as caught:
        Document.read(tmp_path / name)
    assert caught.value.facts["path"] == os.fspath(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("[x]\na = 1\na = 2\n", 3),
        (b"a = 1\n\nb = '\xff'\n", 3),
        ("a = 1\n\nb = 'never closed\n", 3),
    ],
)
def test_what_is_no_toml_is_an_error_with_its_line(tmp_path: Path, text: str | bytes, line: int) -> None:
    """A file that is not TOML, or not UTF-8, is ConfigFileInvalid at the line."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigFileInvalid) as caught:
        Document.read(path)
    assert caught.value.where == f"{path}:{line}"


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    """A file that would exhaust the stack is an invalid file."""
    with pytest.raises(ConfigFileInvalid, match="nested too deeply"):
        Document.read(written(tmp_path, "a = " + "[" * 20_000 + "]" * 20_000))


@pytest.mark.parametrize("text", ["key = 'hunter2'\nb = = 1\n", b"key = 'hunter2'\nb = '\xff'\n"])
def test_an_invalid_file_does_not_tell_its_content(tmp_path: Path, text: str | bytes) -> None:
    """Neither the error nor what it came from carries the file's text, which may have secrets."""
    with pytest.raises(ConfigFileInvalid) as caught:
        Document.read(written(tmp_path, text))
    error: BaseException = caught.value
    assert "hunter2" not in f"{error}{vars(error)}"
    assert error.__cause__ is None and error.__context__ is None


def test_sections_of_nobody_are_problems(tmp_path: Path) -> None:
    """A section other than [kernel] and [plugins.<name>] is a problem with its line and the near names."""
    (problem,) = Document.read(written(tmp_path, "[kernel]\n[kernle]\n")).problems
    assert isinstance(problem, ConfigUnknownSection)
    assert problem.where.endswith(":2")
    assert problem.facts["known"] == ("kernel",)


@pytest.mark.parametrize("tables", [{"kernel": 1}, {"plugins": []}, {"plugins": {"a": "x"}}])
def test_a_section_that_is_no_table_is_a_problem(tables: dict[str, Any]) -> None:
    """A value where a section is expected is a problem, and an empty section."""
    document = Document.read(tables)
    assert [type(p) for p in document.problems] == [ConfigTypeInvalid]
    assert not document.kernel and not any(document.plugins.values())
