"""Packages read from files and folders, and where in them a problem is."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from objectkernel_package_service import package_files
from objectkernel_package_service.contracts import FileFailed, PackageInvalid
from objectkernel_package_service.package import Limits, check
from objectkernel_package_service.package_files import packages_in, read_package
from objectkernel_package_service.yaml_value import read_yaml

MOST = 100_000
LIMITS = Limits(manifest=10_000, metadata=100_000)

FILES = {
    "manifest.yaml": "id: acme.crm\nversion: 1.2.0\nname: CRM\n",
    "objects/account.object.yaml": "fields:\n  name: {type: text}\n  country: {type: select, options: [NO, SE]}\n",
    "objects/sales/deal.json": '{"name": "opportunity", "fields": {}}',
    "objects/shared.yml": "- name: tag\n  fields: {}\n- name: note\n  fields: {}\n",
    "views/accounts.yaml": "name: accounts\nobject: account\n",
    "flows/.hidden.yaml": "a: [",
    "README.md": "# not a part",
    ".git/config": "[core]",
    "node_modules/x/package.json": "{}",
}


@pytest.fixture
def crm(tmp_path):
    """A package as a folder, as applications have them, beside what is none of it."""
    return write(tmp_path / "crm", FILES)


def write(folder, files):
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def problems(path):
    """What is wrong with a package, each with its place in a file."""
    try:
        files = read_package(path, MOST)
    except PackageInvalid as error:
        return [str(one) for one in error.problems]
    with pytest.raises(PackageInvalid) as caught:
        check(files.package, LIMITS)
    return [str(one) for one in files.located(caught.value).problems]


def test_a_folder_with_a_manifest_is_a_package(crm):
    """Each folder is a kind of metadata, each file an item, or a list of them, in the order of their names."""
    package = read_package(crm, MOST).package
    assert package["manifest"] == {"id": "acme.crm", "version": "1.2.0", "name": "CRM"}
    assert [item["name"] for item in package["metadata"]["objects"]] == ["account", "opportunity", "tag", "note"]
    assert package["metadata"]["objects"][0]["fields"]["country"]["options"] == ["NO", "SE"]
    assert package["metadata"]["views"] == [{"name": "accounts", "object": "account"}]
    assert set(package["metadata"]) == {"objects", "views"}


def test_a_folder_a_file_of_yaml_and_one_of_json_have_one_hash(crm, tmp_path):
    """How a package is written down does not matter."""
    package = read_package(crm, MOST).package
    (tmp_path / "crm.json").write_text(json.dumps(package, indent=3))
    (tmp_path / "crm.yml").write_text(json.dumps(package))
    hashes = {
        check(read_package(path, MOST).package, LIMITS).hash
        for path in (crm, tmp_path / "crm.json", tmp_path / "crm.yml")
    }
    assert len(hashes) == 1


def test_translations_are_not_named_after_their_file(tmp_path):
    """They are told apart by what they hold."""
    folder = write(
        tmp_path / "p", {"manifest.json": '{"id": "a", "version": "1.0.0"}', "translations/en.yaml": "en: {}"}
    )
    assert read_package(folder, MOST).package["metadata"] == {"translations": [{"en": {}}]}


def test_a_folder_without_a_manifest_holds_packages(crm, tmp_path):
    """Its files, and its folders that have a manifest; nothing hidden."""
    write(tmp_path, {"b.yaml": "{}", "a.json": "{}", ".c.json": "{}", "notes.txt": "", "docs/x.yaml": "{}"})
    assert [path.name for path in packages_in(tmp_path)] == ["a.json", "b.yaml", "crm"]
    assert packages_in(crm) == [crm]
    assert packages_in(tmp_path / "b.yaml") == [tmp_path / "b.yaml"]


def test_a_problem_is_told_with_file_and_line(crm):
    """Whether the file is YAML or JSON, one item or a list of them."""
    write(crm, {"manifest.yaml": "id: Acme\nversion: 1.2.0\nname: CRM\ndependencies:\n  base: latest nonsense\n"})
    write(crm, {"objects/sales/deal.json": '{\n "name": "deal",\n "n": 1e400\n}'})
    write(crm, {"objects/shared.yml": "- name: tag\n- x: 1\n  name: tag\n"})
    assert [line.split(": ")[0] for line in problems(crm)] == [
        "objects/sales/deal.json:3 $.metadata.objects[1].n",
        "manifest.yaml:1 $.manifest.id",
        "manifest.yaml:5 $.manifest.dependencies.base",
        "objects/shared.yml:3 $.metadata.objects[3].name",
    ]


def test_a_name_twice_in_json_is_found_in_a_folder_too(crm):
    """What a text says twice is not lost on the way to the check."""
    write(crm, {"objects/sales/deal.json": '{"name": "deal", "a": 1,\n"a": 2}'})
    assert problems(crm) == ["objects/sales/deal.json:1 $.metadata.objects[1].a: the name stands twice in this object"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("manifest.yaml", "id: a\nid: b", "manifest.yaml:2: the name 'id' stands twice"),
        ("objects/a.yaml", "a: &x 1", "objects/a.yaml:1: &x names a value"),
        ("objects/a.json", '{"a": ', "objects/a.json: not JSON: Expecting value, line 1 column 7"),
        ("objects/a.ts", "export {}", "objects/a.ts: is neither YAML nor JSON"),
        ("manifest.json", "{}", "manifest.yaml: there is manifest.json too"),
        ("objects/a.yaml", "x" * MOST, "objects/a.yaml: with it the package has more than 100,000 bytes"),
    ],
    ids=["twice", "anchor", "cut off", "another language", "two manifests", "too large"],
)
def test_files_that_cannot_be_taken_are_named(crm, name, text, told):
    """Nothing of a folder is passed over in silence."""
    write(crm, {name: text})
    (found,) = problems(crm)
    assert found.startswith(told)


def test_what_is_wrong_with_other_files_is_told_with_it(crm):
    """Nobody mends one file only to be told of the next: what can be told without the unreadable ones is."""
    write(crm, {"objects/a.yaml": "fields: [", "objects/b.json": "{", "objects/c.ts": "export {}"})
    write(crm, {"objects/shared.yml": "- name: opportunity\n"})
    assert [line.partition(": ")[0] for line in problems(crm)] == [
        "objects/a.yaml:1",
        "objects/b.json",
        "objects/c.ts",
        "objects/shared.yml:1 $.metadata.objects[2].name",
    ]
    write(crm, {"manifest.yaml": "id: [\n"})
    assert [line.partition(": ")[0] for line in problems(crm)] == [
        "manifest.yaml:1",
        "objects/a.yaml:1",
        "objects/b.json",
        "objects/c.ts",
        "objects/shared.yml:1 $.metadata.objects[2].name",
    ]


def test_no_more_is_read_once_a_package_is_too_large(crm, monkeypatch):
    """A folder of large files is told of at the first that goes beyond the bound."""
    write(crm, {f"objects/{name}.yaml": "x" * MOST for name in "abc"})
    read, content = [], package_files._content
    monkeypatch.setattr(package_files, "_content", lambda file, most: (read.append(file.name), content(file, most))[1])
    (found,) = problems(crm)
    assert found.startswith("objects/a.yaml: with it the package has more than")
    assert read == ["manifest.yaml", "a.yaml"]


def test_many_unreadable_files_are_bounded(crm):
    """A report of more than a thousand faults helps nobody."""
    write(crm, {f"objects/x{number:04}.yaml": "a: .nan\nb: .nan\n" for number in range(600)})
    assert len(problems(crm)) == 1000


def test_a_file_of_yaml_that_is_no_object(tmp_path):
    """A list, or a text, is no package."""
    (tmp_path / "a.yaml").write_text("- a\n")
    assert problems(tmp_path / "a.yaml") == ["a.yaml:1: an object with manifest and metadata is wanted"]


def test_a_misspelt_folder_is_refused(crm):
    """It is a kind of metadata like any other, and no kind is taken for another in silence."""
    write(crm, {"objcts/a.yaml": "name: a\n"})
    assert any("'objects' was meant" in line for line in problems(crm))


def test_what_is_not_a_file_is_not_waited_for(crm):
    """A pipe in a folder would never end; it is no part of the package."""
    os.mkfifo(crm / "objects" / "pipe.yaml")
    assert len(read_package(crm, MOST).package["metadata"]["objects"]) == 4


@pytest.mark.parametrize("name", ["objects/key.json", "objects", "manifest.yaml"])
def test_no_link_leads_out_of_the_folder(crm, tmp_path, name):
    """A package of somebody else's making publishes no file of this machine."""
    outside = write(tmp_path / "outside", {"key.json": '{"name": "key"}', "manifest.yaml": "id: a\nversion: 1.0.0\n"})
    place = crm / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(outside if name == "objects" else outside / place.name)
    told = problems(crm)
    assert told[0].startswith(f"{'objects/key.json' if name == 'objects' else name}: is a link that leads out")
    assert len(told) == (2 if name == "objects" else 1)  # each file that the link leads to


def test_a_link_within_the_folder_is_what_it_leads_to(crm):
    """And one that leads nowhere, or to a folder, is not passed over in silence."""
    (crm / "views" / "again.yaml").symlink_to(crm / "views" / "accounts.yaml")
    assert len(read_package(crm, MOST).package["metadata"]["views"]) == 2
    (crm / "views" / "more").symlink_to(crm / "objects")
    assert problems(crm) == ["views/more: is neither YAML nor JSON; move it out of the folder"]
    (crm / "views" / "more").unlink()
    (crm / "views" / "ring.yaml").symlink_to(crm / "views" / "ring.yaml")
    with pytest.raises(FileFailed):
        read_package(crm, MOST)


def test_a_folder_that_cannot_be_listed(crm, monkeypatch):
    """Is told as a file is, so that it keeps no other from being published."""

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    for read in (packages_in, lambda path: read_package(path, MOST)):
        with pytest.raises(FileFailed) as caught:
            read(crm)
        assert (caught.value.file, caught.value.why) == (str(crm), ("Permission denied",))


def test_a_file_that_cannot_be_read(crm):
    """It is named, with the reason."""
    (crm / "objects" / "gone.yaml").mkdir()
    (crm / "manifest.yaml").unlink()
    (crm / "manifest.yaml").symlink_to(crm / "nowhere")
    with pytest.raises(FileFailed) as caught:
        read_package(crm, MOST)
    assert caught.value.file.endswith("manifest.yaml")


def test_many_problems_are_located_at_once(tmp_path):
    """A thousand problems in a thousand files take no time worth a word: each file is looked through once."""
    files = {f"objects/o{number:04}.yaml": f"name: n{number}\nx: 1e400\n" for number in range(1000)}
    folder = write(tmp_path / "p", {"manifest.yaml": "id: a\nversion: 1.0.0\n", **files})
    found = problems(folder)
    assert found[0].startswith("objects/o0000.yaml:2 $.metadata.objects[0].x")
    assert len(found) >= 1000


def test_a_file_is_looked_through_once_for_all_its_items(crm, monkeypatch):
    """However many of them have something wrong."""
    write(crm, {"objects/shared.yml": "".join(f"- name: n{number}\n  x: 1e400\n" for number in range(500))})
    read = []
    monkeypatch.setattr(package_files, "read_yaml", lambda *given: (read.append(1), read_yaml(*given))[1])
    found = problems(crm)
    assert found[7].startswith("objects/shared.yml:16 $.metadata.objects[9].x")
    assert len(read) == 5
