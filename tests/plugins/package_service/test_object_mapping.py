"""Objects in ObjectStack's format become entities; what has no exact counterpart is told with its place."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_package_service.field_defaults import now, today
from objectkernel_package_service.field_mapping import COMPUTED, MAKERS, RELATIONS
from objectkernel_package_service.object_mapping import entity_problems, map_objects
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index, Relation
from objectkernel_system_dialect.registry import validate_schemas
from objectkernel_system_dialect.schema_files import read_schema

PLACE = "$.metadata.objects[0].fields.it"


def mapped(*objects, **options):
    found = map_objects(objects, read_schema, **options)
    assert validate_schemas((*options.get("known", ()), *found.schemas)) == ()
    return found


def own_fields(schema):
    """The fields of an entity without that of its tenant."""
    return {name: field for name, field in schema.fields.items() if name != schema.tenant}


def field(type, **attributes):
    """What a field of this type becomes, and the warnings by the attribute that they are about."""
    found = mapped({"name": "thing", "fields": {"it": {"type": type, **attributes}}})
    (schema,) = found.schemas
    told = {problem.path.removeprefix(PLACE).lstrip("."): problem.what for problem in found.warnings}
    return schema.fields.get("it") or schema.relations.get("it"), told


EXACT = {
    "text": (
        {"maxLength": 40, "required": True, "defaultValue": "a"},
        Field("string", length=40, required=True, default="a"),
    ),
    "textarea": ({}, Field("text")),
    "markdown": ({"max_length": 2000}, Field("string", length=2000)),
    "email": ({"maxLength": 80, "defaultValue": "a@b"}, Field("string", length=80, default="a@b")),
    "url": ({}, Field("text")),
    "phone": ({"maxLength": 40}, Field("string", length=40)),
    "html": ({}, Field("text")),
    "number": ({}, Field("number")),
    "currency": ({"precision": 2, "min": 0.5}, Field("decimal", precision=18, scale=2, min=Decimal("0.50"))),
    "percent": ({"defaultValue": 12.5}, Field("decimal", precision=18, scale=6, default=Decimal("12.500000"))),
    "rating": ({"min": 0, "max": 5, "precision": 0}, Field("integer", min=0, max=5)),
    "slider": ({"min": 0, "max": 1.5}, Field("number", min=0.0, max=1.5)),
    "boolean": ({"defaultValue": False}, Field("boolean", default=False)),
    "toggle": ({}, Field("boolean")),
    "date": ({"defaultValue": "$today"}, Field("string", length=10, format="date", default=today)),
    "datetime": ({"defaultValue": "NOW()"}, Field("datetime", default=now)),
    "time": ({"defaultValue": "09:00"}, Field("string", length=24, format="time", default="09:00")),
    "checkbox": ({"defaultValue": True}, Field("boolean", default=True)),
    "select": (
        {"options": [{"label": "A", "value": "a"}, {"value": "b", "default": True}]},
        Field("enum", enum=("a", "b"), default="b"),
    ),
    "radio": ({"options": ["x", "y"]}, Field("enum", enum=("x", "y"))),
    "tags": ({"defaultValue": ["new"]}, Field("array", default=["new"])),
    "json": ({"defaultValue": {"a": 1}}, Field("json", default={"a": 1})),
    "location": ({}, Field("json")),
    "image": ({"multiple": True}, Field("json")),
    "autonumber": ({}, Field("sequence")),
    "tree": ({}, Relation("thing", on_delete="set-null")),
}


@pytest.mark.parametrize("type", EXACT)
def test_types_that_have_a_counterpart(type):
    """Each becomes that, with its attributes, and nothing is noted."""
    attributes, wanted = EXACT[type]
    assert field(type, **attributes) == (wanted, {})


def test_digits_behind_the_point_decide_on_a_number():
    """`precision` alone is how many there are; beside `scale`, or above 10, how many digits the number has."""
    assert field("number", precision=0)[0] == Field("integer")
    assert field("number", precision=2)[0] == Field("decimal", precision=18, scale=2)
    assert field("number", scale=3)[0] == Field("decimal", precision=18, scale=3)
    assert field("number", precision=12, scale=2)[0] == Field("decimal", precision=12, scale=2)
    assert field("number", precision=4, scale=0)[0] == Field("integer", min=-9999, max=9999)
    assert field("currency", precision=14)[0] == Field("decimal", precision=14, scale=4)
    assert field("currency", currencyConfig={"precision": 0})[0] == Field("integer")
    made, told = field("currency", precision=30, scale=2)
    assert (made, list(told)) == (Field("decimal", precision=18, scale=2), ["precision"])
    made, told = field("number", scale=20)
    assert (made, list(told)) == (Field("number"), ["scale"])


INEXACT = [
    ("password", {}, Field("text"), [""]),
    ("text", {"unique": True}, Field("string", length=255), [""]),
    ("text", {"maxLength": 5_000_000}, Field("text"), ["maxLength"]),
    ("text", {"maxLength": -1}, Field("text"), ["maxLength"]),
    ("text", {"maxLength": 2000, "unique": True}, Field("string", length=2000), ["unique"]),
    ("text", {"maxLength": 3, "defaultValue": "long"}, Field("string", length=3), ["defaultValue"]),
    ("text", {"pattern": "a+", "minLength": 2}, Field("text"), ["minLength", "pattern"]),
    ("text", {"multiple": True, "maxLength": 4}, Field("array"), ["maxLength"]),
    ("text", {"defaultValue": "current_user.name"}, Field("text"), ["defaultValue"]),
    ("number", {"min": 5, "max": 1}, Field("number"), ["max"]),
    ("number", {"precision": 0, "min": 0.5}, Field("integer"), ["min"]),
    ("number", {"max": 3, "defaultValue": 4}, Field("number", max=3.0), ["defaultValue"]),
    ("number", {"defaultValue": "many"}, Field("number"), ["defaultValue"]),
    ("currency", {"precision": 2, "defaultValue": 0.001}, Field("decimal", precision=18, scale=2), ["defaultValue"]),
    ("boolean", {"defaultValue": "yes"}, Field("boolean"), ["defaultValue"]),
    ("date", {"defaultValue": "31.1.2026"}, Field("string", length=10, format="date"), ["defaultValue"]),
    ("time", {"defaultValue": "noon"}, Field("string", length=24, format="time"), ["defaultValue"]),
    ("time", {"defaultValue": "0900"}, Field("string", length=24, format="time"), ["defaultValue"]),
    ("datetime", {"defaultValue": "2026-01-31T12:00:00"}, Field("datetime"), ["defaultValue"]),
    ("select", {"options": []}, Field("text"), ["options"]),
    ("select", {"options": ["a", "a", 7, None]}, Field("enum", enum=("a", "7")), ["options"]),
    ("select", {"options": ["a"], "defaultValue": "z"}, Field("enum", enum=("a",)), ["defaultValue"]),
    ("select", {"options": ["a", "b"], "multiple": True}, Field("array"), ["options"]),
    ("select", {"options": [{"value": "", "label": "="}]}, Field("enum", enum=("=",)), ["options"]),
    ("autonumber", {"format": "Q-{0000}"}, Field("sequence"), ["format"]),
    ("formula", {"expression": "a + b"}, None, [""]),
    ("summary", {}, None, [""]),
    ("rollup", {"requiredWhen": "a > b"}, None, [""]),
    ("number", {"requiredWhen": "a > b"}, Field("number"), ["requiredWhen"]),
    ("text", {"encryption": True}, Field("text"), ["encryption"]),
    ("user", {}, Field("string", length=255), [""]),
    ("user", {"reference": "users"}, Field("string", length=255), ["reference"]),
    ("lookup", {"reference": "users", "required": True}, Field("string", length=255, required=True), ["reference"]),
    ("lookup", {"reference": "users", "multiple": True}, Field("array"), ["reference"]),
    ("lookup", {"reference": ["a", "b"]}, Field("string", length=255), ["reference"]),
    ("lookup", {}, Field("string", length=255), [""]),
    ("datetme", {}, Field("json"), ["type"]),
    (7, {}, Field("json"), ["type"]),
]


@pytest.mark.parametrize(("type", "attributes", "wanted", "places"), INEXACT)
def test_what_has_no_exact_counterpart_is_told(type, attributes, wanted, places):
    """The field is as near as can be, and every attribute that is not kept has a warning."""
    made, told = field(type, **attributes)
    assert (made, list(told)) == (wanted, places)


def test_a_field_that_nothing_is_said_of_takes_anything():
    """An application may have such fields; they are no reason to refuse it."""
    found = mapped({"name": "thing", "fields": {"it": None}})
    assert (found.schemas[0].fields["it"], [one.path for one in found.warnings]) == (Field("json"), [f"{PLACE}.type"])


def test_rules_of_an_object_are_told():
    """They are not enforced here."""
    found = mapped({"name": "thing", "validationRules": [{"name": "a", "formula": "x < y"}], "validations": []})
    assert [one.path for one in found.warnings] == ["$.metadata.objects[0].validationRules"]


def test_a_misspelt_type_is_told_with_the_nearest():
    """A warning offers what was meant."""
    assert "'datetime' was meant?" in field("datetme")[1]["type"]


def test_a_default_in_another_spelling_is_taken():
    """By its value or its label, where only one option is meant; the warning says which."""
    options = [{"value": "in_progress", "label": "Doing"}, {"value": "not started", "label": "To do"}]
    for spelled, wanted in (("In Progress", "in_progress"), ("NotStarted", "not started"), ("to-do", "not started")):
        made, told = field("select", options=options, defaultValue=spelled)
        assert (made.default, repr(wanted) in told["defaultValue"]) == (wanted, True)


def lookup(**attributes):
    return {"name": "deal", "fields": {"it": {"type": "lookup", "reference": "account", **attributes}}}


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({}, Relation("account", on_delete="set-null")),
        ({"required": True}, Relation("account", required=True, on_delete="restrict")),
        ({"deleteBehavior": "cascade"}, Relation("account", on_delete="cascade")),
        ({"delete_behavior": "set_null"}, Relation("account", on_delete="set-null")),
        ({"type": "master_detail", "required": True}, Relation("account", required=True, on_delete="cascade")),
        ({"unique": True}, Relation("account", on_delete="set-null")),
        ({"multiple": True}, Relation("account", kind="many-to-many", through="deal__it")),
    ],
)
def test_references_become_relations(attributes, wanted):
    """To an object of the package, with what happens when that is deleted."""
    found = mapped({"name": "account"}, lookup(**attributes))
    assert (found.schemas[1].relations, found.warnings) == ({"it": wanted}, ())


def test_impossible_behaviours_are_told():
    """A required reference cannot be emptied, and an unknown word is none."""
    for behaviour, taken in (("set_null", "restrict"), ("explode", "restrict")):
        found = mapped({"name": "account"}, lookup(required=True, deleteBehavior=behaviour))
        assert found.schemas[1].relations["it"].on_delete == taken
        assert [one.path for one in found.warnings] == ["$.metadata.objects[1].fields.it.deleteBehavior"]


def test_another_spelling_of_an_object_is_found():
    """``EmailTemplate`` leads to ``email_template``, and the warning says so; what is spelled right has none."""
    objects = [
        {"name": "email_template", "fields": {"next": {"type": "lookup", "reference": "EmailTemplate"}}},
        {"name": "Account", "fields": {"up": {"type": "lookup", "reference": "Account"}}},
    ]
    found = mapped(*objects)
    assert found.schemas[0].relations["next"].target == "email_template"
    assert found.schemas[1].relations["up"].target == "Account"
    assert found.schemas[1].collection == "account"
    assert [(one.path, "'email_template'" in one.what) for one in found.warnings] == [
        ("$.metadata.objects[0].fields.next.reference", True)
    ]


def test_objects_of_other_packages():
    """Those of a dependency are led to; of another's the warning says whose it is."""
    account = EntitySchema(name="account", collection="account", fields={})
    assert mapped(lookup(), known=[account]).schemas[0].relations["it"].target == "account"
    found = mapped(lookup(), others={"account": "acme.base"})
    assert found.schemas[0].fields["it"].type == "string"
    assert "acme.base" in found.warnings[0].what


def test_names_that_no_database_takes():
    """They are told with the name that is taken; two that differ in case alone are two fields."""
    fields = {name: {"type": "number"} for name in ("a b", "9x", "客户", "xmin", "Same", "same", "x" * 80)}
    found = mapped({"name": "sqlite_客户", "fields": fields})
    fields = own_fields(found.schemas[0])
    assert len(fields) == 7
    assert list(fields)[:4:3] == ["a_b", "xmin_"]
    assert len({one.path for one in found.warnings}) == 7


def test_keys_and_times():
    """An object's own id is kept as the key; times that it names as usual are kept by the dialect."""
    (plain,) = mapped({"name": "a"}).schemas
    assert (plain.timestamps, plain.key) == (True, ("id",))
    declared = {name: {"type": "datetime", "readonly": True} for name in ("created_at", "updated_at")}
    (same,) = mapped({"name": "a", "fields": declared}).schemas
    assert (same.timestamps, own_fields(same)) == (True, {})
    (other,) = mapped({"name": "a", "fields": {"created_at": {"type": "date"}}}).schemas
    assert (other.timestamps, other.fields["created_at"].type) == (False, "string")
    (own,) = mapped({"name": "a", "fields": {"id": {"type": "text", "maxLength": 20}}}).schemas
    assert own.fields["id"].length == 20
    assert own.fields["id"].default() != own.fields["id"].default()
    (counted,) = mapped({"name": "a", "fields": {"id": {"type": "autonumber"}}}).schemas
    assert counted.fields["id"].type == "sequence"
    found = mapped({"name": "a", "fields": {"id": {"type": "json"}}})
    assert (own_fields(found.schemas[0]), len(found.warnings)) == ({}, 1)


def test_only_one_autonumber_counts():
    """Of a second one there is a field that nobody fills, and a warning."""
    found = mapped({"name": "a", "fields": {"one": {"type": "autonumber"}, "two": {"type": "autonumber"}}})
    assert [one.type for one in own_fields(found.schemas[0]).values()] == ["sequence", "integer"]
    assert [one.path for one in found.warnings] == ["$.metadata.objects[0].fields.two"]


def test_indexes():
    """Of fields and of the object, each once; what no index can have is told."""
    found = mapped(
        {
            "name": "a",
            "fields": [
                {"name": "one", "type": "text", "maxLength": 40, "index": True},
                {"name": "two", "type": "number"},
                {"name": "long", "type": "textarea"},
                {"name": "sum", "type": "formula", "index": True},
            ],
            "indexes": [
                {"fields": ["one"]},
                {"fields": ["one", "two"], "unique": True},
                {"fields": ["long"]},
                {"fields": ["nowhere"]},
                {},
            ],
        }
    )
    assert found.schemas[0].indexes == (
        Index(("tenant_id", "id")),
        Index(("tenant_id", "one")),
        Index(("tenant_id", "one", "two"), unique=True),
    )
    places = [one.path.removeprefix("$.metadata.objects[0].") for one in found.warnings]
    assert places == ["fields[3]", "indexes[2]", "indexes[3]", "indexes[4]"]


def test_an_index_that_is_unique_wins():
    """Over the one on the same fields that is not, in whatever order they stand."""
    both = [{"fields": ["one"], "unique": True}, {"fields": ["one"]}]
    for indexes in (both, both[::-1]):
        (schema,) = mapped(
            {"name": "a", "fields": {"one": {"type": "number", "index": True}}, "indexes": indexes}
        ).schemas
        assert schema.indexes == (Index(("tenant_id", "id")), Index(("tenant_id", "one"), unique=True))


def test_rows_belong_to_accounts():
    """Their field leads every index, and what is unique is so for one account; references stay as they are."""
    fields = {
        "code": {"type": "text", "maxLength": 700, "unique": True},
        "up": {"type": "lookup", "reference": "thing", "unique": True},
    }
    (schema,) = mapped({"name": "thing", "fields": fields}).schemas
    assert (schema.tenant, schema.fields["tenant_id"]) == ("tenant_id", Field("string", length=64, required=True))
    assert (schema.fields["code"].unique, schema.relations["up"].kind) == (False, "many-to-one")
    assert schema.indexes == (
        Index(("tenant_id", "id")),
        Index(("tenant_id", "code"), unique=True),
        Index(("tenant_id", "up"), unique=True),
    )


def test_rows_that_all_accounts_share():
    """An object says so; what is unique there is so for all."""
    fields = {"code": {"type": "text", "maxLength": 9, "unique": True}, "up": {"type": "lookup", "reference": "thing"}}
    found = mapped({"name": "thing", "tenancy": {"enabled": False}, "fields": fields})
    (schema,) = found.schemas
    assert (schema.tenant, schema.fields["code"].unique, schema.indexes, found.warnings) == (None, True, (), ())


def test_the_tenants_field_has_a_name_of_its_own():
    """A field of that name is called otherwise; one that the object names as the tenant's is the tenant's."""
    found = mapped({"name": "flat", "fields": {"tenant_id": {"type": "lookup", "reference": "flat"}}})
    (schema,) = found.schemas
    (renamed,) = schema.relations
    assert (schema.tenant, renamed.startswith("tenant_id_")) == ("tenant_id", True)
    assert [one.path for one in found.warnings] == ["$.metadata.objects[0].fields.tenant_id"]
    named = {"enabled": True, "tenantField": "organization_id"}
    asked = {"organization_id": {"type": "text"}, "tenant_id": {"type": "number"}}
    found = mapped({"name": "flat", "tenancy": named, "fields": asked, "indexes": [{"fields": ["organization_id"]}]})
    (schema,) = found.schemas
    assert (schema.tenant, list(schema.fields)) == ("organization_id", ["organization_id", "tenant_id"])
    assert schema.indexes == (Index(("organization_id", "id")),)
    assert [one.path for one in found.warnings] == ["$.metadata.objects[0].fields.organization_id"]


@pytest.mark.parametrize(
    ("tenancy", "places"),
    [
        (True, [""]),
        ({"enabled": "no"}, [".enabled"]),
        ({"enabled": True, "strategy": "shared"}, []),
        ({"strategy": "isolated"}, [".strategy"]),
        ({"tenantField": "id"}, [".tenantField"]),
        ({"tenant_field": "Created_At"}, [".tenant_field"]),
        ({"tenantField": 7}, [".tenantField"]),
    ],
)
def test_tenancy_that_says_nothing_keeps_accounts_apart(tenancy, places):
    """What is not understood makes no row everybody's, and is told."""
    found = mapped({"name": "thing", "tenancy": tenancy})
    assert found.schemas[0].tenant == "tenant_id"
    assert [one.path for one in found.warnings] == [f"$.metadata.objects[0].tenancy{place}" for place in places]


def test_rows_that_would_be_too_long_for_mariadb():
    """Some texts are given more room, or all of it, and a warning says so."""
    short = {f"f{n}": {"type": "text", "maxLength": 40} for n in range(60)}
    found = mapped({"name": "a", "fields": short})
    assert {one.length for one in own_fields(found.schemas[0]).values()} == {40, 64}
    long = {f"f{n}": {"type": "text", "maxLength": 700} for n in range(30)}
    found = mapped({"name": "a", "fields": long})
    assert {one.type for one in own_fields(found.schemas[0]).values()} == {"string", "text"}
    assert len(found.warnings) == sum(one.type == "text" for one in own_fields(found.schemas[0]).values())
    choices = {f"f{n}": {"type": "select", "options": ["x" * 50], "defaultValue": "x" * 50} for n in range(60)}
    found = mapped({"name": "a", "fields": choices})
    assert {(one.type, one.default) for one in own_fields(found.schemas[0]).values()} == {
        ("enum", "x" * 50),
        ("string", "x" * 50),
    }


def many(type, count, **attributes):
    return {f"f{n}": {"type": type, **attributes} for n in range(count)}


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        (many("lookup", 50, reference="thing"), 0),
        (many("lookup", 60, reference="thing"), 1),
        (many("number", 70, unique=True), 1),
        (many("number", 70, index=True), 1),
        (many("lookup", 70, reference="thing"), 2),
    ],
    ids=["50 references", "60 references", "70 unique", "70 indexes", "70 references"],
)
def test_what_mariadb_has_no_room_for_is_told_with_the_object(fields, count):
    """Where no change of its texts could help: the other databases take it."""
    found = mapped({"name": "thing", "fields": fields})
    assert [one.path for one in found.warnings] == ["$.metadata.objects[0].fields"] * count
    assert all(one.what.startswith("thing has ") for one in found.warnings)


def test_dates_stay_dates_however_wide_their_object_is():
    """Their room is what it was, and their format too."""
    long = {f"l{n}": {"type": "text", "maxLength": 700} for n in range(30)}
    found = mapped({"name": "a", "fields": {**many("date", 400), **long}})
    assert {one.format for name, one in found.schemas[0].fields.items() if name.startswith("f")} == {"date"}


def test_an_entity_schema_of_ours_is_taken_as_it_is():
    """It names its collection; relations of other objects lead to it by its name."""
    ours = {"name": "Account", "collection": "accounts", "fields": {"total": {"type": "decimal", "scale": 2}}}
    found = mapped(ours, lookup(reference="Account"))
    assert found.schemas[0] == EntitySchema(
        name="Account", collection="accounts", fields={"total": Field("decimal", scale=2)}
    )
    assert (found.schemas[1].relations["it"].target, found.warnings) == ("Account", ())


def test_what_is_wrong_with_an_entity_schema_of_ours():
    """Every problem with its place in the package."""
    objects = [{}, {"name": "A", "collection": "a", "fields": {"x": {"type": "strng", "lenght": 3}}, "keys": []}]
    found = [problem.path for problem in entity_problems(objects, read_schema)]
    assert found
    assert all(path.startswith("$.metadata.objects[1]") for path in found)


words = st.sampled_from(["", "a", "A", "a b", "NOW()", "$today", "x" * 70, "客", "true", "1"])
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    words,
    st.lists(words, max_size=3),
    st.dictionaries(words, words, max_size=2),
)
attribute = st.sampled_from(
    [
        *("maxLength", "precision", "scale", "min", "max", "defaultValue", "options", "reference", "multiple"),
        *("required", "unique", "deleteBehavior", "format", "index", "currencyConfig"),
    ]
)
raw_fields = st.builds(
    lambda type, rest: {**rest, "type": type},
    st.one_of(st.sampled_from([*MAKERS, *RELATIONS, *COMPUTED, "autonumber", "nothing"]), anything),
    st.dictionaries(attribute, st.one_of(anything, st.just(True), st.sampled_from(["thing", "Other", 2, 0, 40]))),
)
objects = st.fixed_dictionaries(
    {
        "fields": st.dictionaries(
            st.one_of(words.filter(bool), st.sampled_from(["id", "created_at", "it", "tenant_id"])), raw_fields
        )
    },
    optional={
        "indexes": st.lists(st.fixed_dictionaries({"fields": st.lists(words, max_size=3)}), max_size=2),
        "tenancy": st.one_of(
            anything,
            st.dictionaries(st.sampled_from(["enabled", "tenantField"]), st.one_of(anything, st.just("it"))),
        ),
    },
)


@given(objects, objects)
def test_whatever_is_given_there_is_an_entity(one, other):
    """No object that passes the checks of publishing makes an entity that the dialects would refuse."""
    found = map_objects([{**one, "name": "thing"}, {**other, "name": "other"}], read_schema)
    assert validate_schemas(found.schemas) == ()
