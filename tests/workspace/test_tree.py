"""What lies where, and what no file may hold."""

from __future__ import annotations

import re
import tomllib

import pytest

FOLDERS = {"kernel", "plugins", "contrib", "tests", "examples"}
SMALL_FILES = {"pyproject.toml", "README.md", "Makefile", "requirements.lock", "CHANGELOG.md", "LICENSE"}

# Each pattern holds a character class, so that none of them matches this file.
NOT_IN_ANY_FILE = {
    "a package registry's address": r"[p]ypi\.org|[p]ythonhosted\.org|[n]pmjs\.org|[d]eb\.debian\.org",
    "an option that names a package index": r"-[-]index-url|-[-]extra-index-url|-[-]find-links",
    "a path of one machine": r"(?<![\w.])/(?:[w]ork|[r]oot|[f]arm|[h]ome/\w+|[U]sers/\w+)/",
}


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())


def import_name(folder):
    return project(folder)["project"]["name"].replace("-", "_")


def test_the_top_level_holds_the_agreed_entries_only(files):
    """Beside the five folders there are a few small files and dotfiles, and nothing else."""
    top = {path.parts[0] for path in files}
    assert {name for name in top - FOLDERS - SMALL_FILES if not name.startswith(".")} == set()
    assert top >= SMALL_FILES


@pytest.mark.parametrize("what", NOT_IN_ANY_FILE)
def test_no_file_names_where_it_was_made(what, root, files):
    """The project installs from wherever its user's tools look, and runs in any folder."""
    pattern = re.compile(NOT_IN_ANY_FILE[what].encode())
    found = [
        f"{path}:{number}: {line.decode(errors='replace').strip()}"
        for path in files
        for number, line in enumerate((root / path).read_bytes().splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], f"{what} stands in {found}"


def test_every_distribution_is_built_by_hatchling_and_ships_its_types(members):
    """Python 3.11 or newer, one import package named like the distribution, with py.typed, and a README."""
    assert [folder.name for folder in members] != []
    for folder in members:
        declared = project(folder)
        assert declared["build-system"]["build-backend"] == "hatchling.build", folder
        assert declared["project"]["requires-python"] == ">=3.11", folder
        assert declared["project"]["license"] == "Apache-2.0", folder
        assert declared["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [import_name(folder)]
        assert (folder / import_name(folder) / "py.typed").exists(), folder
        assert (folder / "README.md").read_text().startswith(f"# {declared['project']['name']}\n"), folder


def test_every_distribution_carries_the_licence(root, members):
    """A wheel travels alone, so each distribution has the text of the licence, and it is one text."""
    for folder in members:
        assert (folder / "LICENSE").read_bytes() == (root / "LICENSE").read_bytes(), folder


def test_the_kernel_needs_four_libraries(root):
    """pluggy, attrs, anyio and typed-settings; a fifth one needs a better reason than convenience."""
    needed = {re.split(r"[^\w-]", line)[0] for line in project(root / "kernel")["project"]["dependencies"]}
    assert needed == {"anyio", "attrs", "pluggy", "typed-settings"}


def test_every_check_covers_every_distribution(root, members):
    """A new distribution is type-checked, held to the import contracts and measured from its first day."""
    tools = project(root)["tool"]
    packages = {import_name(folder) for folder in members}
    folders = {folder.relative_to(root).as_posix() for folder in members}
    assert set(tools["mypy"]["packages"]) == packages
    assert set(tools["mypy"]["mypy_path"]) == folders
    assert set(tools["basedpyright"]["extraPaths"]) == folders
    assert set(tools["importlinter"]["root_packages"]) == packages
    assert set(tools["coverage"]["run"]["source_pkgs"]) == packages
    assert set(tools["uv"]["sources"]) == {project(folder)["project"]["name"] for folder in members}
    layers = re.findall(r"\w+", " ".join(tools["importlinter"]["contracts"][0]["layers"]))
    assert set(layers) == packages
