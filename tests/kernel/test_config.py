"""Configuration: sources and their order, strict types, all problems at once, secrets kept."""

from __future__ import annotations

import enum
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from objectkernel.config import Configuration, Document, Row, resolve, setting
from objectkernel.errors import (
    BootError,
    ConfigInvalid,
    ConfigMissing,
    ConfigTypeInvalid,
    ConfigUnknownKey,
    ConfigUnknownSection,
    DeclarationInvalid,
    KernelError,
)
from objectkernel.secret import Secret

RAW = "hunter2"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Pool:
    size: int = 5
    timeout: float = 1.5


@attrs.frozen
class Billing:
    currency: str = "EUR"
    retries: int = attrs.field(default=3, validator=attrs.validators.ge(0))
    rate: float = 0.5
    strict: bool = False
    uri: str | None = setting(default=None, env="SGBD_URI", help="address of the database")
    pool: Pool = attrs.field(factory=Pool)


@attrs.frozen
class Kinds:
    path: Path = Path()
    colour: Colour = Colour.RED
    level: Literal["low", "high", 1] = "low"
    tags: tuple[str, ...] = ()
    ports: list[int] = attrs.field(factory=list)
    pair: tuple[int, str] = (0, "")
    names: frozenset[str] = frozenset()
    labels: Mapping[str, int] = attrs.field(factory=dict)
    limit: int | None = None
    either: int | str = 0
    day: date = date(2000, 1, 1)
    pools: tuple[Pool, ...] = ()
    anything: Any = None
    key: Secret[str] | None = None


@attrs.frozen
class Needy:
    token: Secret[str]
    port: int
    pool: Pool


def in_file(folder: Path, text: str) -> Document:
    path = folder / "objectkernel.toml"
    path.write_text(text, encoding="utf-8")
    return Document.read(path)


def read(
    settings: type | None,
    table: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    document: Document | None = None,
) -> Configuration:
    overrides = {"acme-billing": table} if table is not None else None
    return resolve({"acme-billing": settings}, document, environ or {}, overrides)


def the_instance(configuration: Configuration) -> Any:
    assert [str(p) for p in configuration.problems] == []
    return configuration.instances["acme-billing"]


def the_problem(configuration: Configuration) -> KernelError:
    assert len(configuration.problems) == 1, [str(p) for p in configuration.problems]
    assert "acme-billing" not in configuration.instances
    return configuration.problems[0]


# -- sources


def test_defaults_hold_where_nothing_is_given() -> None:
    """Without any source a settings class is made of its defaults; without settings there is no instance."""
    configuration = resolve({"a": Billing, "b": None}, None, {})
    assert configuration.instances == {"a": Billing()}
    assert configuration.problems == ()


def test_later_sources_win(tmp_path: Path) -> None:
    """Class defaults < file < environment < arguments, option by option."""
    document = in_file(tmp_path, '[plugins.acme-billing]\ncurrency = "a"\nretries = 1\nrate = 1\n')
    environ = {
        "OBJECTKERNEL_PLUGINS__ACME_BILLING__RETRIES": "2",
        "OBJECTKERNEL_PLUGINS__ACME_BILLING__RATE": "2",
    }
    instance = the_instance(read(Billing, {"rate": 3}, environ, document))
    assert instance == Billing(currency="a", retries=2, rate=3.0)


def test_a_mapping_wins_over_the_environment() -> None:
    """A configuration given as a mapping counts as arguments, also when given as overrides once more."""
    document = Document.read({"plugins": {"acme-billing": {"retries": 9, "bad": 1}}})
    environ = {"OBJECTKERNEL_PLUGINS__ACME_BILLING__RETRIES": "2"}
    configuration = resolve({"acme-billing": Billing}, document, environ, document.plugins)
    assert [type(p) for p in configuration.problems] == [ConfigUnknownKey]
    assert Row("acme-billing", "retries", 9, "argument") in configuration.rows()


def test_rows_tell_each_value_and_its_source(tmp_path: Path) -> None:
    """Every option has a row with its value and where that comes from, nested ones by dotted name."""
    document = in_file(tmp_path, "[plugins.acme-billing]\nrate = 2\n[plugins.acme-billing.pool]\nsize = 7\n")
    rows = read(Billing, {"strict": True}, {"SGBD_URI": "sqlite://"}, document).rows()
    file = str(tmp_path / "objectkernel.toml")
    assert [(r.option, r.value, r.source) for r in rows] == [
        ("currency", "EUR", "default"),
        ("retries", 3, "default"),
        ("rate", 2.0, f"{file}:2"),
        ("strict", True, "argument"),
        ("uri", "sqlite://", "environment SGBD_URI"),
        ("pool.size", 7, f"{file}:4"),
        ("pool.timeout", 1.5, "default"),
    ]


def test_rows_show_secrets_as_stars_and_are_json() -> None:
    """A row's value can be written as JSON, and a secret in it is ``***`` at any depth."""
    table = {"key": RAW, "colour": "blue", "path": "/x", "pools": [{"size": 1}], "names": ["b", "a"]}
    rows = {r.option: r.value for r in read(Kinds, {**table, "anything": {"k": Secret(RAW)}}).rows()}
    assert rows["key"] == "***"
    assert rows["anything"] == {"k": "***"}
    assert rows["names"] == ["a", "b"]
    assert RAW not in json.dumps(rows)


def test_dashes_and_underscores_are_one(tmp_path: Path) -> None:
    """A key may be written with either; both at once is an error that names the two."""

    @attrs.frozen
    class Wide:
        pool_size: int = 1

    assert the_instance(read(Wide, {"pool-size": 2})) == Wide(2)
    problem = the_problem(read(Wide, {"pool-size": 2, "pool_size": 3}))
    assert isinstance(problem, ConfigInvalid)
    assert "'pool-size'" in str(problem) and "'pool_size'" in str(problem)


def test_private_attributes_are_set_by_their_argument() -> None:
    """attrs takes ``_key`` as the argument ``key``; so does the configuration."""

    @attrs.frozen
    class Private:
        _key: str = "a"

    configuration = read(Private, {"key": "b"})
    assert the_instance(configuration)._key == "b"
    assert configuration.rows()[0].value == "b"


# -- the environment


@pytest.mark.parametrize(
    ("environ", "uri", "source"),
    [
        ({"SGBD_URI": "plain"}, "plain", "SGBD_URI"),
        ({"SGBD_URI": "plain", "TEST_SGBD_URI": "test"}, "plain", "SGBD_URI"),
        ({"SGBD_URI": "plain", "TEST_SGBD_URI": "test", "MOSTA_ENV": "TEST"}, "test", "TEST_SGBD_URI"),
        ({"SGBD_URI": "plain", "MOSTA_ENV": "TEST"}, "plain", "SGBD_URI"),
        ({"TEST_SGBD_URI": "test", "MOSTA_ENV": "test"}, "test", "TEST_SGBD_URI"),
        ({"PROD_SGBD_URI": "prod", "TEST_SGBD_URI": "test", "MOSTA_ENV": "PROD"}, "prod", "PROD_SGBD_URI"),
    ],
)
def test_stage_cascade(environ: dict[str, str], uri: str, source: str) -> None:
    """With MOSTA_ENV=TEST, TEST_NAME wins over NAME; without a stage only NAME counts."""
    configuration = read(Billing, environ=environ)
    assert the_instance(configuration).uri == uri
    assert f"environment {source}" in [row.source for row in configuration.rows()]


def test_the_options_own_variable_wins_over_a_named_one() -> None:
    """OBJECTKERNEL_PLUGINS__PLUGIN__OPTION is more precise than the name in the field's metadata."""
    environ = {
        "OBJECTKERNEL_PLUGINS__ACME_BILLING__URI": "own",
        "TEST_SGBD_URI": "named",
        "MOSTA_ENV": "TEST",
    }
    assert the_instance(read(Billing, environ=environ)).uri == "own"


def test_an_unknown_stage_is_a_problem() -> None:
    """A stage other than DEV, TEST or PROD is refused with the nearest one, where an option is cascaded."""
    problem = resolve({"a": Billing}, None, {"MOSTA_ENV": "TESTS"}).problems[0]
    assert isinstance(problem, ConfigInvalid)
    assert problem.known == ("TEST",)
    assert resolve({"a": Kinds}, None, {"MOSTA_ENV": "TESTS"}).problems == ()


def test_nested_settings_have_variables_with_double_underscores() -> None:
    """An option of a nested settings class is joined by ``__``."""
    environ = {"OBJECTKERNEL_PLUGINS__ACME_BILLING__POOL__SIZE": "8"}
    assert the_instance(read(Billing, environ=environ)).pool == Pool(8)


def test_an_unknown_variable_of_a_known_plugin_is_a_problem() -> None:
    """A misspelt option in the environment is an error with the nearest name; its value is not told."""
    problem = the_problem_of({"OBJECTKERNEL_PLUGINS__ACME_BILLING__CURENCY": RAW})
    assert isinstance(problem, ConfigUnknownKey)
    assert problem.where == "environment OBJECTKERNEL_PLUGINS__ACME_BILLING__CURENCY"
    assert problem.known == ("currency",)
    assert RAW not in str(problem)


def the_problem_of(environ: Mapping[str, str]) -> KernelError:
    (problem,) = read(Billing, environ=environ).problems
    return problem


def test_a_variable_of_an_unknown_plugin_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One environment may serve several hosts, so a plugin that is not there is no error, but it is told."""
    with caplog.at_level(logging.WARNING):
        assert read(Billing, environ={"OBJECTKERNEL_PLUGINS__ACME_BILING__RATE": "1"}).problems == ()
    assert "did you mean OBJECTKERNEL_PLUGINS__ACME_BILLING?" in caplog.text


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("path", "/tmp/x", Path("/tmp/x")),
        ("colour", "blue", Colour.BLUE),
        ("colour", "BLUE", Colour.BLUE),
        ("level", "1", 1),
        ("tags", "a, b", ("a", "b")),
        ("tags", '["a,b"]', ("a,b",)),
        ("tags", "", ()),
        ("ports", "1,2", [1, 2]),
        ("pair", "3,x", (3, "x")),
        ("names", "a,b,a", frozenset("ab")),
        ("labels", '{"a": 1}', {"a": 1}),
        ("limit", "5", 5),
        ("limit", "", None),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("day", "2026-01-02", date(2026, 1, 2)),
        ("pools", '[{"size": 2}]', (Pool(2),)),
        ("key", RAW, Secret(RAW)),
    ],
)
def test_text_of_the_environment_is_converted(option: str, text: str, value: Any) -> None:
    """A variable's text becomes the declared type; lists are JSON or have commas, tables are JSON."""
    made = getattr(
        the_instance(read(Kinds, environ={f"OBJECTKERNEL_PLUGINS__ACME_BILLING__{option.upper()}": text})),
        option,
    )
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [*((t, True) for t in ("true", "1", "YES", "on")), *((t, False) for t in ("false", "0", "No", "off"))],
)
def test_switches_of_the_environment(text: str, value: bool) -> None:
    """true/1/yes/on and false/0/no/off are switches, in any case."""
    assert the_instance(read(Billing, environ={"OBJECTKERNEL_PLUGINS__ACME_BILLING__STRICT": text})).strict is value


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("strict", "maybe"),
        ("strict", ""),
        ("retries", "1.5"),
        ("retries", "x"),
        ("rate", "fast"),
        ("pool__size", "x"),
    ],
)
def test_text_of_the_environment_that_does_not_fit_is_refused(option: str, text: str) -> None:
    """A variable that does not spell its type is a problem that names the variable."""
    name = f"OBJECTKERNEL_PLUGINS__ACME_BILLING__{option.upper()}"
    problem = the_problem(read(Billing, environ={name: text}))
    assert isinstance(problem, ConfigTypeInvalid)
    assert problem.where == f"environment {name}"


# -- strict types


@pytest.mark.parametrize(
    ("option", "value", "made"),
    [
        ("path", "a/b", Path("a/b")),
        ("path", Path("a"), Path("a")),
        ("colour", "red", Colour.RED),
        ("colour", Colour.BLUE, Colour.BLUE),
        ("level", 1, 1),
        ("tags", ["a"], ("a",)),
        ("ports", (1, 2), [1, 2]),
        ("pair", [1, "a"], (1, "a")),
        ("labels", {"a": 1}, {"a": 1}),
        ("either", "5", "5"),
        ("day", date(2026, 1, 2), date(2026, 1, 2)),
        ("pools", [{"size": 2}, Pool(3)], (Pool(2), Pool(3))),
        ("anything", {"x": [1]}, {"x": [1]}),
        ("key", Secret(RAW), Secret(RAW)),
    ],
)
def test_values_of_their_type_are_taken(option: str, value: Any, made: Any) -> None:
    """A value of the declared type is taken; arrays become the declared collection, strings become paths."""
    assert getattr(the_instance(read(Kinds, {option: value})), option) == made


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("path", 1),
        ("colour", "green"),
        ("level", "1"),
        ("level", True),
        ("tags", "a"),
        ("tags", [1]),
        ("ports", ["1"]),
        ("pair", [1]),
        ("labels", {"a": "1"}),
        ("labels", [1]),
        ("limit", "5"),
        ("limit", True),
        ("either", 1.5),
        ("day", "2026-01-02"),
        ("pools", [{"sise": 2}]),
        ("pools", [{"size": "2"}]),
        ("key", 5),
    ],
)
def test_values_of_another_type_are_refused(option: str, value: Any) -> None:
    """A value is not bent to its type: ``"5"`` is no 5, True no 1, a string no list."""
    problem = the_problem(read(Kinds, {option: value}))
    assert isinstance(problem, ConfigTypeInvalid)
    assert (problem.plugin, problem.option) == ("acme-billing", option)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("retries", "5"),
        ("retries", True),
        ("retries", 5.0),
        ("rate", True),
        ("rate", "1"),
        ("strict", 1),
        ("strict", "true"),
        ("currency", 5),
    ],
)
def test_scalars_are_strict(option: str, value: Any) -> None:
    """The file's types are exact, but that an integer passes for a number."""
    assert isinstance(the_problem(read(Billing, {option: value})), ConfigTypeInvalid)
    assert the_instance(read(Billing, {"rate": 2})).rate == 2.0


def test_a_wrong_type_is_told_with_place_and_expectation(tmp_path: Path) -> None:
    """The message has plugin, option, file and line, the expected type, and what was given."""
    document = in_file(tmp_path, '# head\n[plugins.acme-billing]\n\nretries = "five"\n')
    problem = the_problem(read(Billing, document=document))
    assert str(problem) == (
        "[K303] ConfigTypeInvalid: setting 'retries' of acme-billing is a string 'five', "
        "but an integer is expected\n"
        f"  where  {tmp_path / 'objectkernel.toml'}:4\n"
        "  fix    give an integer"
    )


def test_a_wrong_part_is_told_with_its_own_line(tmp_path: Path) -> None:
    """Of a list or table the part that is wrong is named."""
    document = in_file(tmp_path, '[plugins.acme-billing]\nports = [\n  1,\n  "x",\n]\n')
    problem = the_problem(read(Kinds, document=document))
    assert problem.where.endswith("objectkernel.toml:4")
    assert "setting 'ports[1]' of acme-billing is a string, but an integer is expected" in str(problem)


@pytest.mark.parametrize(
    ("option", "value", "near"),
    [("colour", "rad", "red"), ("level", "hihg", "high"), ("pools", [{"sise": 2}], "size")],
)
def test_near_choices_are_told(option: str, value: Any, near: str) -> None:
    """A misspelt choice, or a key inside a list of tables, is told with the nearest."""
    assert the_problem(read(Kinds, {option: value})).fix == f"did you mean {near!r}?"


# -- unknown, missing, refused


def test_unknown_keys_have_their_line_and_near_names(tmp_path: Path) -> None:
    """A key the settings class does not have is an error with the nearest name, nested ones too."""
    document = in_file(tmp_path, '[plugins.acme-billing]\ncurency = "hunter2"\n[plugins.acme-billing.pool]\nsise = 3\n')
    first, second = read(Billing, document=document).problems
    assert isinstance(first, ConfigUnknownKey) and isinstance(second, ConfigUnknownKey)
    assert (first.option, first.known, first.where[-2:]) == ("curency", ("currency",), ":2")
    assert (second.option, second.known, second.where[-2:]) == ("pool.sise", ("size",), ":4")
    assert RAW not in f"{first}{first.facts}"


def test_a_plugin_without_settings_takes_no_keys() -> None:
    """A section with keys for a plugin that takes none is an error; an empty one is not."""
    assert isinstance(the_problem(read(None, {"x": 1})), ConfigUnknownKey)
    assert read(None, {}).problems == ()


def test_sections_of_nobody_are_problems(tmp_path: Path) -> None:
    """The section of a plugin that is not installed is told with its line; an installed one is left alone."""
    document = in_file(tmp_path, "[plugin]\n[plugins.acme-biling]\nx = 1\n[plugins.other]\ny = 1\n")
    configuration = resolve({"acme-billing": Billing}, document, {}, installed=["other"])
    top, section = configuration.problems
    assert isinstance(top, ConfigUnknownSection) and isinstance(section, ConfigUnknownSection)
    assert (top.section, top.known, top.where[-2:]) == ("plugin", ("plugins",), ":1")
    assert (section.section, section.known, section.where[-2:]) == (
        "plugins.acme-biling",
        ("acme-billing",),
        ":2",
    )
    assert configuration.instances == {"acme-billing": Billing()}


def test_overrides_of_nobody_are_problems() -> None:
    """Arguments for a plugin that is not installed are an error as a section is."""
    (problem,) = resolve({"acme-billing": Billing}, None, {}, {"acme-biling": {"rate": 1}}).problems
    assert isinstance(problem, ConfigUnknownSection)
    assert problem.where == "argument"


def test_a_plugin_name_with_a_dot_must_be_quoted(tmp_path: Path) -> None:
    """[plugins.acme.billing] is two keys in TOML; the message shows how to write it."""
    document = in_file(tmp_path, "[plugins.acme.billing]\nrate = 1\n")
    (problem,) = resolve({"acme.billing": Billing}, document, {}).problems
    assert problem.fix == 'a name with a dot stands in quotes: [plugins."acme.billing"]'
    document = in_file(tmp_path, '[plugins."acme.billing"]\nrate = 1\n')
    assert resolve({"acme.billing": Billing}, document, {}).instances["acme.billing"].rate == 1.0


def test_required_settings_are_told_with_how_to_set_them() -> None:
    """Each setting without default and value is a problem that says where it can be set."""
    configuration = read(Needy)
    assert [(type(p), p.facts["option"]) for p in configuration.problems] == [
        (ConfigMissing, "token"),
        (ConfigMissing, "port"),
    ]
    assert "OBJECTKERNEL_PLUGINS__ACME_BILLING__PORT" in configuration.problems[1].fix


def test_nested_settings_keep_the_defaults_around_them() -> None:
    """A nested class that is given in part has the rest from the field's default, else from its own."""

    @attrs.frozen
    class Outer:
        pool: Pool = Pool(size=9, timeout=9.0)

    Outer.__annotations__["pool"] = Pool
    assert the_instance(read(Outer, {"pool": {"size": 1}})).pool == Pool(1, 9.0)
    assert the_instance(read(Outer, {"pool": Pool(2)})).pool == Pool(2, 1.5)
    assert the_instance(read(Needy, {"token": "t", "port": 1})).pool == Pool()


def test_a_nested_table_must_be_a_table() -> None:
    """A plain value where a table of settings is expected is refused."""
    assert isinstance(the_problem(read(Billing, {"pool": 3})), ConfigTypeInvalid)


def refuse_odd(instance: Any, attribute: Any, value: int) -> None:
    if value % 2:
        raise ValueError(f"{value} is odd")


@attrs.frozen
class Checked:
    even: int = attrs.field(default=0, validator=refuse_odd)
    more: int = attrs.field(default=0, validator=refuse_odd)
    upper: str = attrs.field(default="A", converter=lambda text: {"a": "A", "A": "A"}[text])
    number: int = attrs.field(default=0, converter=int)
    low: int = 0
    high: int = 10

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def test_every_validator_is_asked(tmp_path: Path) -> None:
    """All values that validators or converters refuse are told, with line and the validator's words."""
    document = in_file(tmp_path, '[plugins.acme-billing]\neven = 1\nmore = 3\nupper = "x"\n')
    problems = read(Checked, document=document).problems
    assert [(type(p), p.facts["option"], p.where[-2:]) for p in problems] == [
        (ConfigInvalid, "upper", ":4"),
        (ConfigInvalid, "even", ":2"),
        (ConfigInvalid, "more", ":3"),
    ]
    assert problems[1].why == ("1 is odd",)
    assert isinstance(problems[1].__cause__, ValueError)


def test_validators_are_asked_even_where_another_value_is_wrong() -> None:
    """A wrong type does not hide what a validator refuses."""
    problems = read(Checked, {"even": "x", "more": 3}).problems
    assert [type(p) for p in problems] == [ConfigTypeInvalid, ConfigInvalid]


def test_the_class_may_refuse_its_values_together() -> None:
    """What __attrs_post_init__ raises is a problem of the whole section."""
    problem = the_problem(read(Checked, {"low": 11}))
    assert (problem.option, problem.why) == ("", ("low is above high",))


def test_a_converter_takes_what_the_type_does_not() -> None:
    """A field's own converter says what it accepts beside its type."""
    assert the_instance(read(Checked, {"number": "7"})).number == 7
    assert isinstance(the_problem(read(Checked, {"number": "seven"})), ConfigInvalid)


def test_a_refused_default_is_a_problem() -> None:
    """A default that the class's own validator refuses is told as such."""

    @attrs.frozen
    class Wrong:
        even: int = attrs.field(default=1, validator=refuse_odd)

    Wrong.__annotations__["even"] = int
    problem = the_problem(read(Wrong))
    assert isinstance(problem, ConfigInvalid)
    assert "its default" in problem.fix


def test_all_problems_of_all_plugins_come_together() -> None:
    """One report has everything that is wrong with every plugin, and names each plugin."""
    overrides = {"a": {"retries": "x", "rate": "y", "nope": 1}, "b": {"port": True}, "c": {"rate": 1}}
    configuration = resolve({"a": Billing, "b": Needy, "c": Billing}, None, {}, overrides)
    assert [(p.facts["plugin"], p.facts["option"]) for p in configuration.problems] == [
        ("a", "nope"),
        ("a", "retries"),
        ("a", "rate"),
        ("b", "port"),
        ("b", "token"),
    ]
    assert list(configuration.instances) == ["c"]
    assert "5 problems" in str(BootError(configuration.problems))


def test_annotations_that_cannot_be_resolved_are_told() -> None:
    """A settings class whose types are not there at run time is a problem, not a crash."""

    @attrs.frozen
    class Hidden:
        x: NotThere = 1  # type: ignore[name-defined]  # noqa: F821

    problem = the_problem(read(Hidden))
    assert isinstance(problem, DeclarationInvalid)
    assert "NotThere" in str(problem)


# -- secrets


def reveal_and_refuse(instance: Any, attribute: Any, value: Secret[str]) -> None:
    raise ValueError(f"{value.reveal()} is too short")


@attrs.frozen
class Guarded:
    token: Secret[str] = attrs.field(default=Secret("-"), validator=attrs.validators.optional(reveal_and_refuse))


@attrs.frozen
class Numbered:
    pin: Secret[int] = attrs.field(default=Secret(0))
    level: Secret[Literal["a", "b"]] = attrs.field(default=Secret("a"))
    keys: dict[str, Secret[bool]] = attrs.field(factory=dict)
    decoded: Secret[str] = attrs.field(default=Secret(""), converter=lambda raw: raw if raw == Secret("") else int(raw))

    def __attrs_post_init__(self) -> None:
        if self.pin.reveal() < 0:
            raise ValueError(f"pin {self.pin.reveal()}")


@attrs.frozen
class ManySecrets:
    accounts: tuple[Guarded, ...] = ()


def traces(error: BaseException | None) -> str:
    """Everything that can be read from an error and what it came from."""
    if error is None:
        return ""
    facts = getattr(error, "facts", {})
    return f"{error!r}{error}{error.args}{facts}{vars(error)}" + traces(error.__cause__) + traces(error.__context__)


@pytest.mark.parametrize(
    ("settings", "table"),
    [
        (Guarded, {"token": RAW}),
        (Guarded, {"token": [RAW]}),
        (Guarded, {"token": {RAW: RAW}}),
        (Numbered, {"pin": RAW}),
        (Numbered, {"level": RAW}),
        (Numbered, {"keys": {"k": RAW}}),
        (Numbered, {"decoded": [RAW]}),
        (Numbered, {"pin": -482916}),
        (ManySecrets, {"accounts": [{"token": RAW}]}),
        (ManySecrets, {"accounts": [{"token": [RAW]}]}),
        (ManySecrets, {"accounts": RAW}),
    ],
)
@pytest.mark.parametrize("source", ["argument", "environment"])
def test_a_refused_secret_is_told_nowhere(settings: type, table: dict[str, Any], source: str) -> None:
    """A refused secret is in no message, cause, context or fact, whoever refuses it."""
    if source == "argument":
        configuration = read(settings, table)
    else:
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in table.items()}
        environ = {f"OBJECTKERNEL_PLUGINS__ACME_BILLING__{k.upper()}": v for k, v in texts.items()}
        configuration = read(settings, environ=environ)
    assert configuration.problems
    everything = "".join(traces(p) for p in configuration.problems) + repr(configuration) + repr(configuration.rows())
    assert RAW not in everything
    assert "482916" not in everything


def test_a_document_does_not_print_its_values(tmp_path: Path) -> None:
    """The parsed file, which has secrets in the clear, does not show them."""
    assert RAW not in repr(in_file(tmp_path, f'[plugins.acme-billing]\nkey = "{RAW}"\n'))


# -- cost


def test_nothing_given_imports_no_reader() -> None:
    """Where no source says anything, neither typed-settings nor tomllib is imported."""
    code = (
        "import sys, attrs\n"
        "from objectkernel.config import resolve\n"
        "settings = attrs.make_class('S', {'x': attrs.field(default=1, type=int)})\n"
        "assert resolve({'a': settings}, None, {'PATH': ''}).instances['a'].x == 1\n"
        "assert not {'typed_settings', 'tomllib', 'json'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
