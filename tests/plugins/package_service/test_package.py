"""A package is checked as a whole: every problem at once, or the bytes that are stored."""

from __future__ import annotations

import json

import pytest
from objectkernel_package_service.contracts import PackageInvalid
from objectkernel_package_service.package import Limits, check

LIMITS = Limits(manifest=2_000, metadata=10_000)


def refused(package, limits=LIMITS):
    with pytest.raises(PackageInvalid) as caught:
        check(package, limits)
    return {problem.path: problem.what for problem in caught.value.problems}


def package(manifest=None, metadata=None):
    return {
        "manifest": {"id": "crm", "version": "1.0.0", **(manifest or {})},
        "metadata": {"objects": [{"name": "account"}], **(metadata or {})},
    }


def test_key_order_and_spelling_do_not_change_the_hash():
    """A mapping, its reverse and a text with other white space and escapes have one hash and one content."""
    plain = package({"name": "CRM é"})
    turned = {key: dict(reversed(value.items())) for key, value in reversed(plain.items())}
    text = json.dumps(plain, indent=3, ensure_ascii=True)
    found = [check(form, LIMITS) for form in (plain, turned, text, text.encode())]
    assert len({(one.hash, one.content) for one in found}) == 1


def test_unknown_manifest_fields_and_metadata_kinds_are_kept():
    """What this registry does not know yet is stored as it came."""
    made = check(package({"vendor": {"x": [1, 2.5]}}, {"dashboards": [{"name": "d"}]}), LIMITS)
    assert json.loads(made.manifest)["vendor"] == {"x": [1, 2.5]}
    assert json.loads(made.metadata)["dashboards"] == [{"name": "d"}]


def test_every_problem_is_listed_at_once():
    """The report of a bad package names each place, not only the first."""
    bad = {
        "manifest": {
            "id": "A B",
            "version": "1",
            "name": " ",
            "engine": "new",
            "dependencies": {"crm": "new", "A": "*"},
        },
        "metadata": {
            "objects": [{"name": "a"}, {"name": ""}, {}, 3, {"name": "a"}],
            "views": {},
            "translations": ["de"],
        },
        "manifes": {},
    }
    found = refused(bad)
    assert list(found) == [
        "$.manifes",
        "$.manifest.id",
        "$.manifest.version",
        "$.manifest.name",
        "$.manifest.engine",
        "$.manifest.dependencies.crm",
        "$.manifest.dependencies.A",
        "$.metadata.objects[3]",
        "$.metadata.views",
        "$.metadata.translations[0]",
        "$.metadata.objects[1].name",
        "$.metadata.objects[2].name",
        "$.metadata.objects[4].name",
    ]
    assert "'manifest' was meant" in found["$.manifes"]
    assert "objects[0]" in found["$.metadata.objects[4].name"]


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({}, ["$.manifest", "$.metadata"]),
        ({"manifest": {}, "metadata": []}, ["$.metadata", "$.manifest.id", "$.manifest.version"]),
        ([], ["$"]),
        (None, ["$"]),
        ("null", ["$"]),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(value, paths):
    """A package is an object with a manifest and metadata, each an object."""
    assert list(refused(value)) == paths


@pytest.mark.parametrize("dependencies", [["crm"], "crm", None])
def test_dependencies_are_an_object(dependencies):
    """Dependencies map ids to ranges."""
    assert list(refused(package({"dependencies": dependencies}))) == ["$.manifest.dependencies"]


@pytest.mark.parametrize("part", ["manifest", "metadata"])
def test_a_part_beyond_its_limit_is_refused_by_name(part):
    """The size of each part is bounded in bytes of canonical JSON, the limit itself being allowed."""
    sound = package()
    size = len(getattr(check(sound, LIMITS), part))
    exact = Limits(**{"manifest": 10_000, "metadata": 10_000, part: size})
    assert check(sound, exact).id == "crm"
    sound[part]["note"] = []
    assert list(refused(sound, exact)) == [f"$.{part}"]


def test_a_manifest_of_a_hundred_megabytes_is_refused():
    """Neither a mapping nor a text of that size gets far: the place and both sizes are named."""
    huge = package({"note": "x" * 100_000_000})
    assert list(refused(huge)) == ["$.manifest"]
    assert list(refused('{"manifest": {"id": "' + huge["manifest"]["note"] + '"}}')) == ["$"]


def test_a_few_lists_that_stand_for_gigabytes_are_refused():
    """A list in many places counts in each of them: what would take for ever to write is not begun."""
    bomb = ["x"]
    for _ in range(60):
        bomb = [bomb, bomb]
    assert list(refused(package({"bomb": bomb}))) == ["$.manifest"]
    assert list(refused({**package(), "bomb": bomb})) == ["$.bomb"]
    endless = []
    endless.append(endless)
    assert list(refused(package(metadata={"objects": endless}))) == ["$.metadata"]


@pytest.mark.parametrize("empty", [[], {}, ""])
def test_what_is_empty_counts_as_it_is_written(empty):
    """Many empty values are as large as their brackets and commas: the bound holds before anything is written."""
    many = package(metadata={"objects": [empty] * 40_000})
    found = refused(many, Limits(manifest=2_000, metadata=100_000))
    assert found == {"$.metadata": "more than 100,000 bytes of JSON, which is the most that is allowed"}


@pytest.mark.parametrize("size", [1, 70_000])
def test_a_fault_is_found_in_a_package_of_any_size(size):
    """The place is named in a small package and in a large one, however much lies before it."""
    objects = [{"name": "x" * size}, {"name": "b", "label": "\ud800"}]
    limits = Limits(manifest=2_000, metadata=200_000)
    assert list(refused(package(metadata={"objects": objects}), limits)) == ["$.metadata.objects[1].label"]


@pytest.mark.parametrize("item", ["1", '{"name": "x"}'])
def test_a_report_ends_somewhere(item):
    """Of a hundred thousand problems a thousand are listed, and that there are more."""
    items = ", ".join([item] * 100_000)
    text = '{"manifest": {"id": "a", "version": "1.0.0"}, "metadata": {"objects": [' + items + "]}}"
    with pytest.raises(PackageInvalid) as caught:
        check(text, Limits(manifest=100, metadata=2_000_000))
    assert len(caught.value.problems) == 1_001
    assert "and more" in caught.value.problems[-1].what
    assert len(str(caught.value)) < 100_000


def test_a_name_of_any_length_is_quoted_briefly():
    """The report of a bad package does not repeat the package."""
    objects = [{"name": "x" * 5_000}] * 2
    assert (
        len(refused(package(metadata={"objects": objects}), Limits(manifest=100, metadata=20_000)).popitem()[1]) < 200
    )


@pytest.mark.parametrize("kind", ["objcts", "Objects", "object", "view", "app", "translation"])
def test_a_misspelt_kind_of_metadata_is_refused(kind):
    """What is almost a known kind would be stored and found by nobody."""
    (what,) = refused(package(metadata={kind: []})).values()
    assert "was meant" in what


@pytest.mark.parametrize("items", [5, "x", {}, None])
def test_a_kind_that_is_not_known_is_a_list_of_objects_too(items):
    """Whoever reads a kind of metadata may count on its form."""
    assert list(refused(package(metadata={"dashboards": items}))) == ["$.metadata.dashboards"]
    assert list(refused(package(metadata={"dashboards": [{}, items or 5]}))) == ["$.metadata.dashboards[1]"]


def test_values_json_cannot_carry_are_listed_with_everything_else():
    """The faults of the values come with their path inside the package, beside those of its shape."""
    assert list(refused(package(metadata={"apps": [{"order": 2**53}]}))) == ["$.metadata.apps[0].order"]
    text = '{"manifest": {"id": "a", "version": "1.0.0", "id": "b", "n": 1e400}, "metadata": {"views": 1}}'
    assert list(refused(text)) == ["$.manifest.id", "$.manifest.n", "$.metadata.views"]


def test_names_that_are_no_text_are_refused_everywhere():
    """A mapping whose keys JSON cannot have is refused wherever the keys stand."""
    odd = {7: 1, **package({"dependencies": {None: "*"}}, {1: []})}
    found = refused(odd)
    assert {"$", "$.manifest.dependencies", "$.metadata"} <= found.keys()


def test_the_error_says_what_where_and_what_to_do():
    """The text of a refusal lists the places and says that nothing was stored."""
    with pytest.raises(PackageInvalid) as caught:
        check(package({"version": "latest"}), LIMITS)
    assert str(caught.value) == (
        "[P101] PackageInvalid: the package is refused: 1 problem\n"
        "  why    $.manifest.version: 'latest' names the version inserted last; it is no version itself\n"
        "  fix    correct every place named above and publish again; nothing was stored"
    )
