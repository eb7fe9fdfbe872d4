"""Fields in ObjectStack's format as fields and relations of an entity schema.

=======================================================  ==============================================================
type                                                     becomes
=======================================================  ==============================================================
text, textarea, email, url, phone, markdown, html,       ``string`` of `maxLength`, otherwise ``text`` (a unique or
richtext, code, color, signature, qrcode, password, …    indexed one ``string`` of 255)
number, rating, slider, progress                         ``integer`` or ``decimal`` by the digits behind the point, or
                                                         ``number`` where nothing says how many
currency, percent                                        ``decimal``, of 4 and 6 such digits where nothing says
boolean, toggle, checkbox                                ``boolean``
date, time; datetime                                     ``string`` with that format; ``datetime``
select, radio; multiselect, checkboxes, tags, or         ``enum``; ``array``
`multiple`
lookup, master_detail, tree, user                        a relation, where the other object is known; otherwise its id
autonumber                                               ``sequence``
json, location, address, image, file, …                  ``json``
formula, summary, rollup                                 nothing: they are computed
=======================================================  ==============================================================

`precision` alone is how many digits stand behind the point, as existing applications have it; beside `scale`, or above
10, it is how many there are at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import attrs
from objectkernel.errors import nearest
from objectkernel_system_dialect.contracts import Field, Relation

from objectkernel_package_service.column_names import link_name
from objectkernel_package_service.field_defaults import Unfit, exact, with_default, without_default
from objectkernel_package_service.given_field import GivenField, plain

MOST_DIGITS: Final = 18
LONGEST_TEXT: Final = 1_000_000
"""Characters up to which a `maxLength` is kept by the database."""
LONGEST_KEY: Final = 700
"""Characters that may be unique or in an index on every database."""
UNSORTED: Final = frozenset({"text", "json", "array"})
_DIGITS: Final[Mapping[str, int | None]] = {"currency": 4, "percent": 6}
_UNHELD: Final = ("minLength", "pattern", "regex", "validation", "requiredWhen", "conditionalRequired")
"""What is said of a field's values, and held by nobody here."""
_UNSAFE: Final = ("encryption", "encryptionConfig", "encrypted")
_BEHAVIOURS: Final[Mapping[str, Literal["restrict", "cascade", "set-null"]]] = {
    "restrict": "restrict",
    "noaction": "restrict",
    "cascade": "cascade",
    "setnull": "set-null",
}

Lookup = Callable[[str], "tuple[str, str] | None"]
"""From the name of an object, in whatever spelling, to its own spelling and the name of its entity."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """What the mapping of a field has to know beside it.

    Attributes:
        collection: the table that the field is in.
        object: the name of its object.
        lookup: finds other objects.
        elsewhere: what to say of one that is not found: who has it.
    """

    collection: str
    object: str
    lookup: Lookup
    elsewhere: Callable[[str], str]


def map_field(given: GivenField, column: str, around: Surroundings, *, sequenced: bool) -> Field | Relation | None:
    """The field or relation for one field of an object; None for what is not stored.

    Args:
        column: its name in the entity.
        sequenced: whether the entity has a sequence already.
    """
    kind = given.get("type")
    if kind not in COMPUTED:
        _note_unkept(given)
    if kind in RELATIONS:
        return _relation(given, str(kind), column, around)
    if kind in COMPUTED:
        given.warn(f"a {kind} is computed, which is not done here: the entity has no such field")
        return None
    if kind == "autonumber":
        return _autonumber(given, sequenced)
    make = MAKERS.get(kind) if isinstance(kind, str) else None
    if make is None:
        make = _json
        near = nearest(kind, (*MAKERS, *RELATIONS, *COMPUTED), 1) if isinstance(kind, str) else ()
        meant = f"; {near[0]!r} was meant?" if near else ""
        told = "it has no type" if kind is None else f"the type {str(kind)[:80]!r} is not known"
        given.warn(f"{told}: any JSON value is taken{meant}", "type")
    return _finished(given, make(given))


def _note_unkept(given: GivenField) -> None:
    for attribute in _UNHELD:
        if given.get(attribute):
            given.warn("is not enforced", attribute)
    for attribute in _UNSAFE:
        if given.get(attribute):
            given.warn("is not done: what is written is stored as it is", attribute)


# --- what they become -----------------------------------------------------------------------------------


def _text(given: GivenField) -> Field:
    if given.get("type") in ("password", "secret"):
        given.warn("is stored as it is written: encrypt or hash it before")
    longest = given.whole("maxLength", 1)
    if given.flag("multiple"):
        if longest is not None:
            given.warn("is not enforced for the elements of a list", "maxLength")
        return with_default(given, Field("array"))
    if longest is not None and longest > LONGEST_TEXT:
        given.warn("is not enforced: so long a text has no bound", "maxLength")
        longest = None
    if longest is None and (given.flag("unique") or _is_indexed(given)):
        given.warn("has no maxLength, which a unique or indexed text needs: it is 255 characters")
        longest = 255
    return with_default(given, Field("text") if longest is None else Field("string", length=longest))


def _number(given: GivenField) -> Field:
    precision, scale = _digits(given)
    if scale is None:
        field = Field("number")
    elif scale == 0:
        largest = 10**precision - 1 if precision < MOST_DIGITS else None
        field = Field("integer", max=largest, min=None if largest is None else -largest)
    else:
        field = Field("decimal", precision=precision, scale=scale)
    low, high = (_bound(given, field, name) for name in ("min", "max"))
    if low is not None and high is not None and low > high:
        given.warn("is below `min`, and both are left out", "max")
        low = high = None
    low, high = field.min if low is None else low, field.max if high is None else high
    return with_default(given, attrs.evolve(field, min=low, max=high))


def _digits(given: GivenField) -> tuple[int, int | None]:
    """How many digits a number has, and how many of them behind the point; None: as many as it likes."""
    precision, scale, config = given.whole("precision"), given.whole("scale"), given.get("currencyConfig")
    if precision is None and scale is None and isinstance(config, dict):
        precision = config.get("precision") if config.get("precision") in range(11) else None
    usual = _DIGITS.get(str(given.get("type")))
    if scale is None:
        if precision is None:
            return MOST_DIGITS, usual
        if precision <= 10:
            return MOST_DIGITS, precision
        scale = 6 if usual is None else usual
    if scale >= MOST_DIGITS:
        given.warn(f"is more than the {MOST_DIGITS} digits that are exact: it becomes a floating-point number", "scale")
        return MOST_DIGITS, None
    if precision is not None and precision > MOST_DIGITS:
        given.warn(f"is more than the {MOST_DIGITS} digits that are exact: so many it has", "precision")
    if precision is None or precision > MOST_DIGITS or precision <= scale:
        return MOST_DIGITS, scale
    return precision, scale


def _bound(given: GivenField, field: Field, name: str) -> Any:
    value = given.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Unfit("is no number")
        if field.type == "decimal":
            return exact(field, value)
        if field.type == "integer" and (value != int(value) or abs(value) >= 2**63):
            raise Unfit("is no whole number")
        return int(value) if field.type == "integer" else float(value)
    except Unfit as why:
        given.warn(f"{why}, and is left out", name)
        return None


def _boolean(given: GivenField) -> Field:
    return with_default(given, Field("boolean"))


def _date(given: GivenField) -> Field:
    return with_default(given, Field("string", length=10, format="date"))


def _time(given: GivenField) -> Field:
    return with_default(given, Field("string", length=24, format="time"))


def _datetime(given: GivenField) -> Field:
    return with_default(given, Field("datetime"))


def _json(given: GivenField) -> Field:
    return with_default(given, Field("json"))


def _select(given: GivenField) -> Field:
    if given.flag("multiple"):
        return _several(given)
    options = _options(given)
    if not options:
        given.warn("has no options: any text is taken", "options")
        return _text(given)
    return with_default(_marked(given), Field("enum", enum=tuple(options)), options)


def _several(given: GivenField) -> Field:
    options = _options(given)
    if options:
        given.warn("are not enforced for a list", "options")
    return with_default(_marked(given), Field("array"), options or None)


def _options(given: GivenField) -> dict[str, str]:
    """The values of a choice, each with its label."""
    raw = given.get("options")
    if isinstance(raw, dict):
        raw = [{"value": value, "label": label} for value, label in raw.items()]
    found: dict[str, str] = {}
    for position, item in enumerate(raw if isinstance(raw, list) else ()):
        value = item.get("value", item.get("label")) if isinstance(item, dict) else item
        label = item.get("label") if isinstance(item, dict) else None
        if value == "" and isinstance(label, str) and label:
            given.warn(f"option {position} has an empty value: its label {label[:80]!r} is taken", "options")
            value = label
        if not isinstance(value, str | int | float) or isinstance(value, bool) or "\0" in str(value):
            given.warn(f"option {position} has no value, and is left out", "options")
            continue
        if not isinstance(value, str):
            given.warn(f"option {position} is {value!r}, and no text: it is taken as {str(value)!r}", "options")
        if str(value) in found:
            given.warn(f"option {position} has the value {str(value)[:80]!r} again", "options")
        found.setdefault(str(value), label if isinstance(label, str) else "")
    return found


def _marked(given: GivenField) -> GivenField:
    """The field with the default of its options, where they mark one and it has none of its own."""
    raw = given.get("options")
    if given.first("defaultValue", "default")[0] or not isinstance(raw, list):
        return given
    marked = [item.get("value") for item in raw if isinstance(item, dict) and item.get("default") is True]
    return given.with_attribute("defaultValue", marked if len(marked) > 1 else marked[0]) if marked else given


def _autonumber(given: GivenField, sequenced: bool) -> Field:
    without_default(given, "is given by the database")
    if sequenced:
        given.warn("is the second autonumber of its object, of which only the first counts: nobody fills it")
        return Field("integer")
    if given.get("format") is not None:
        given.warn("is not applied: the field has the number alone", "format")
    return Field("sequence")


def _finished(given: GivenField, field: Field) -> Field:
    """The field with what every kind may have: required, unique."""
    unique = given.flag("unique")
    if unique and (field.type in UNSORTED or (field.type == "string" and field.length > LONGEST_KEY)):
        given.warn("cannot be kept by every database, and is left out", "unique")
        unique = False
    return attrs.evolve(field, required=given.flag("required"), unique=unique)


def _is_indexed(given: GivenField) -> bool:
    return any(given.flag(name) for name in ("index", "indexed", "externalId"))


# --- relations ------------------------------------------------------------------------------------------


def _relation(given: GivenField, kind: str, column: str, around: Surroundings) -> Field | Relation:
    without_default(given, "is a default, which a reference to another row cannot have here")
    attribute, reference = given.first("reference", "referenceTo", "referenceObject")
    if not attribute and kind == "tree":
        attribute, reference = "type", around.object
    found = around.lookup(reference) if isinstance(reference, str) else None
    if found is None:
        return _plain_id(given, kind, attribute, reference, around)
    spelled, entity = found
    if reference != spelled:
        given.warn(f"{reference[:80]!r} is taken for {spelled!r}", attribute)
    if given.flag("multiple"):
        if given.flag("required"):
            given.warn("is not enforced for a relation to many", "required")
        return Relation(entity, kind="many-to-many", through=link_name(around.collection, column))
    required = given.flag("required")
    return Relation(
        entity,
        kind="one-to-one" if given.flag("unique") else "many-to-one",
        required=required,
        on_delete=_behaviour(given, kind, required=required),
    )


def _plain_id(given: GivenField, kind: str, attribute: str, reference: Any, around: Surroundings) -> Field:
    if isinstance(reference, str):
        given.warn(f"{reference[:80]!r} {around.elsewhere(reference)}: the id is stored as it is", attribute)
    elif kind == "user" and not attribute:
        given.warn("leads to no object, for users are none here: the id is stored as it is")
    else:
        given.warn("does not name one object: the id is stored as it is", attribute or None)
    if given.flag("multiple"):
        return _finished(given, Field("array"))
    return _finished(given, Field("string", length=255))


def _behaviour(given: GivenField, kind: str, *, required: bool) -> Literal["restrict", "cascade", "set-null"]:
    usual: Literal["restrict", "cascade", "set-null"] = "restrict" if required else "set-null"
    if kind == "master_detail":
        usual = "cascade"
    wanted = given.get("deleteBehavior")
    if wanted is None:
        return usual
    behaviour = _BEHAVIOURS.get(plain(wanted)) if isinstance(wanted, str) else None
    if behaviour is None:
        given.warn(f"{str(wanted)[:80]!r} is not known; {usual!r} is taken", "deleteBehavior")
        return usual
    if behaviour == "set-null" and required:
        given.warn("cannot be, since the field is required; 'restrict' is taken", "deleteBehavior")
        return "restrict"
    return behaviour


# --- by type --------------------------------------------------------------------------------------------

TEXTS: Final = (
    *("text", "textarea", "email", "url", "phone", "markdown", "html", "richtext", "code", "color"),
    *("signature", "qrcode", "password", "secret"),
)
NUMBERS: Final = ("number", "currency", "percent", "rating", "slider", "progress")
STRUCTURES: Final = (
    *("json", "location", "geolocation", "address", "composite", "repeater", "record", "object", "grid", "vector"),
    *("image", "file", "avatar", "video", "audio"),
)
RELATIONS: Final = ("lookup", "master_detail", "tree", "user")
COMPUTED: Final = ("formula", "summary", "rollup", "rollup_summary")
MAKERS: Final[Mapping[str, Callable[[GivenField], Field]]] = {
    **dict.fromkeys(TEXTS, _text),
    **dict.fromkeys(NUMBERS, _number),
    **dict.fromkeys(STRUCTURES, _json),
    **dict.fromkeys(("boolean", "toggle", "checkbox"), _boolean),
    **dict.fromkeys(("select", "radio"), _select),
    **dict.fromkeys(("multiselect", "checkboxes", "tags"), _several),
    "date": _date,
    "time": _time,
    "datetime": _datetime,
}
