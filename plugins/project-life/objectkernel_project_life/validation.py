"""What a project may be made from, and changed to; every problem is told, not only the first."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeGuard

import attrs
from objectkernel.errors import KernelError, nearest
from objectkernel_system_dialect.contracts import EntitySchema, SchemaInvalid

from objectkernel_project_life.contracts import TRANSPORTS, ProjectConfig
from objectkernel_project_life.errors import InvalidProject
from objectkernel_project_life.schema import LONGEST_NAME, LONGEST_OWNER, LONGEST_SLUG
from objectkernel_project_life.schema_documents import document_of

SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LARGEST_POOL: Final = 100
LONGEST_SCHEMAS: Final = 256 * 1024
"""Characters of all schemas of a project as JSON; a host keeps them in memory, of each project that it serves."""
MOST_SCHEMAS: Final = 250
MOST_TABLES: Final = 300
"""Those of entities, and those of their many-to-many relations."""
MOST_PARTS: Final = 250
"""Fields, relations and indexes of one entity. To work a table out takes a time that grows with the square of these."""
MOST_PARTS_TOGETHER: Final = 3000
"""Those of all entities of a project: they are worked out whenever it is opened, and others wait meanwhile."""
CHANGEABLE: Final = ("name", "transports", "pool_size", "pool_min")
"""What `update_project` changes."""

ReadSchema = Callable[[Any], EntitySchema]
"""`DataPlug.read_schema`."""
CheckSchemas = Callable[[Sequence[EntitySchema]], Awaitable[None]]
"""Raises SchemaInvalid where schemas contradict themselves or each other."""


@attrs.frozen
class SchemaReader:
    """Reads the schemas that somebody gives for a project."""

    read: ReadSchema
    check: CheckSchemas

    async def documents(self, schemas: object, problems: list[str]) -> list[dict[str, Any]]:
        """The schemas as JSON values; what is wrong with them is added to `problems`."""
        if isinstance(schemas, str | bytes | Mapping) or not isinstance(schemas, Sequence):
            problems.append("schemas: a list of schemas is expected")
            return []
        if len(schemas) > MOST_SCHEMAS:
            problems.append(f"schemas: {len(schemas)} are more than {MOST_SCHEMAS}")
            return []
        found: list[EntitySchema] = []
        count = len(problems)
        for number, given in enumerate(schemas):
            try:
                found.append(given if isinstance(given, EntitySchema) else self.read(given))
            except SchemaInvalid as error:
                problems += [f"schemas[{number}]: {told}" for told in _problems(error)]
        names = [schema.name for schema in found]
        problems += [f"schemas: {name} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
        if len(problems) == count:
            problems += _too_many_parts(found)
        if len(problems) > count:
            return []
        try:
            if found:
                await self.check(found)
            documents = [document_of(schema) for schema in found]
        except SchemaInvalid as error:
            problems += [f"schemas: {told}" for told in _problems(error)]
            return []
        except ValueError as error:
            problems.append(f"schemas: {error}")
            return []
        text = json.dumps(documents, ensure_ascii=False)
        if any("\ud800" <= character <= "\udfff" for character in text):
            problems.append("schemas: a text has a lone surrogate, which is no character")
        if len(text) > LONGEST_SCHEMAS:
            problems.append(f"schemas: together they are longer than {LONGEST_SCHEMAS} characters")
        return documents


def _too_many_parts(schemas: Sequence[EntitySchema]) -> list[str]:
    """What of schemas is too much to be worked out while others wait."""
    parts = {schema.name: len(schema.fields) + len(schema.relations) + len(schema.indexes) for schema in schemas}
    problems = [
        f"schemas: {name} has {number} fields, relations and indexes, more than {MOST_PARTS}"
        for name, number in parts.items()
        if number > MOST_PARTS
    ]
    links = sum(one.kind == "many-to-many" for schema in schemas for one in schema.relations.values())
    if len(parts) + links > MOST_TABLES:
        problems.append(f"schemas: with {links} many-to-many relations they take more than {MOST_TABLES} tables")
    if not problems and sum(parts.values()) > MOST_PARTS_TOGETHER:
        problems.append(
            f"schemas: together they have {sum(parts.values())} fields, relations and indexes, "
            f"more than {MOST_PARTS_TOGETHER}"
        )
    return problems


def config_problems(account: object, config: ProjectConfig) -> list[str]:
    """Everything that is wrong with what a project is to be made from, but its schemas and its URI."""
    problems: list[str] = []
    if not isinstance(account, str) or not 1 <= len(account) <= LONGEST_OWNER or not account.isprintable():
        problems.append(f"account: an id of 1 to {LONGEST_OWNER} characters is expected")
    problems += _name(config.name)
    problems += _slug(config.slug)
    if config.dialect is not None and not isinstance(config.dialect, str):
        problems.append("dialect: the name of a kind of database is expected")
    problems += _transports(config.transports)
    problems += _pool(config.pool_size, config.pool_min)
    return problems


def update_problems(changes: Mapping[str, Any], pool_size: int, pool_min: int) -> list[str]:
    """Everything that is wrong with changes of a project that has these sizes of its pool."""
    problems: list[str] = []
    for key in changes:
        if key not in CHANGEABLE:
            near = nearest(str(key), CHANGEABLE, 1)
            offer = f"did you mean {near[0]!r}?" if near else f"these can be: {', '.join(CHANGEABLE)}"
            problems.append(f"{key}: it cannot be changed by an update; {offer}")
    if "name" in changes:
        problems += _name(changes["name"])
    if "transports" in changes:
        problems += _transports(changes["transports"])
    if "pool_size" in changes or "pool_min" in changes:
        problems += _pool(changes.get("pool_size", pool_size), changes.get("pool_min", pool_min))
    return problems


def refuse(what: str, problems: Sequence[str]) -> None:
    """Raise InvalidProject where there are problems."""
    if problems:
        raise InvalidProject(
            what, why=tuple(problems), fix="correct all of it; nothing was changed", problems=tuple(problems)
        )


def _name(name: object) -> list[str]:
    if isinstance(name, str) and name.strip() and len(name) <= LONGEST_NAME and name.isprintable():
        return []
    return [f"name: a text of 1 to {LONGEST_NAME} printable characters is expected"]


def _slug(slug: object) -> list[str]:
    if isinstance(slug, str) and len(slug) <= LONGEST_SLUG and SLUG.fullmatch(slug):
        return []
    return [f"slug: lower-case letters, digits and single hyphens between them are expected, at most {LONGEST_SLUG}"]


def _transports(transports: object) -> list[str]:
    if isinstance(transports, str) or not isinstance(transports, Sequence):
        return ["transports: a list of names is expected"]
    unknown = [one for one in transports if one not in TRANSPORTS]
    problems = [f"transports: {one!r} is none; there are {', '.join(TRANSPORTS)}" for one in unknown]
    if not unknown and len(set(transports)) < len(transports):
        problems.append("transports: each may be named once")
    return problems


def _pool(size: object, least: object) -> list[str]:
    if not _is_whole(size) or not 1 <= size <= LARGEST_POOL:
        return [f"pool_size: a whole number from 1 to {LARGEST_POOL} is expected"]
    if not _is_whole(least) or not 0 <= least <= size:
        return ["pool_min: a whole number from 0 to pool_size is expected"]
    return []


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _problems(error: KernelError) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(error, "problems", ()) or error.why or (error.what,)
    return found
