"""What the routes over projects take and answer; names are in camel case on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from objectkernel_project_life.contracts import (
    SERVED_TRANSPORTS,
    ProjectConfig,
    ProjectDTO,
    ProjectPage,
    ProjectStatus,
    TransportName,
)
from objectkernel_project_life.schema import LONGEST_NAME, LONGEST_SLUG
from objectkernel_project_life.validation import LARGEST_POOL, MOST_SCHEMAS

LONGEST_URI: Final = 4096
EXAMPLE_ID: Final = "3f1c9a52-7b0e-4d7e-9f55-0c6b8e2f4a11"
CURSOR: Final = "WyIyMDI2LTAzLTAxVDA5OjMwOjAwWiIsIjEiXQ"
_SCHEMA: Final[dict[str, Any]] = {
    "name": "Customer",
    "collection": "customers",
    "fields": {"name": {"type": "string", "required": True}},
}
_ONE: Final[dict[str, Any]] = {
    "id": EXAMPLE_ID,
    "account": "8c5d1f0e-54a8-4c3a-9c3b-0d6f5f1c9a10",
    "name": "Orphan care",
    "slug": "orphan-care",
    "dialect": "postgres",
    "uri": "postgresql://db.example:5432/orphan_care",
    "transports": ["rest"],
    "notServed": [],
    "poolSize": 5,
    "poolMin": 0,
    "status": "active",
    "error": None,
    "mprojectName": "project_3f1c9a527b0e4d7e9f550c6b8e2f4a11",
    "transition": None,
    "version": 2,
    "createdAt": "2026-03-01T09:30:00Z",
    "updatedAt": "2026-03-01T09:30:01Z",
}


def _whole(value: Any) -> Any:
    """A number without a fraction as JSON may write it: 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Transports = Annotated[list[TransportName], Field(max_length=5, json_schema_extra={"uniqueItems": True})]
Pool = Annotated[int, Field(ge=1, le=LARGEST_POOL), BeforeValidator(_whole)]
PoolMin = Annotated[
    int,
    Field(ge=0, le=LARGEST_POOL, description="connections that stay open; at most poolSize"),
    BeforeValidator(_whole),
]
Schemas = Annotated[
    list[dict[str, Any]], Field(max_length=MOST_SCHEMAS, description="entities, as schema files have them")
]


def _taken(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
        json_schema_extra={"example": example},
    )


def _told(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(alias_generator=to_camel, populate_by_name=True, json_schema_extra={"example": example})


def _usual() -> list[TransportName]:
    return ["rest"]


class ListParameters(BaseModel):
    """Which projects are asked for."""

    model_config = ConfigDict(extra="forbid")

    status: ProjectStatus | None = Field(default=None, description="only those in this state", examples=["active"])
    limit: int = Field(default=50, ge=1, le=200, description="projects of the page", examples=[50])
    after: str | None = Field(
        default=None, max_length=500, description="`nextCursor` of the page before", examples=[CURSOR]
    )


class NewProject(BaseModel):
    """A project to be made."""

    model_config = _taken(
        {
            "name": "Orphan care",
            "slug": "orphan-care",
            "dialect": "sqlite",
            "schemas": [_SCHEMA],
            "transports": ["rest"],
            "poolSize": 5,
        }
    )

    name: Name
    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=LONGEST_SLUG, description="unique in the account")
    dialect: str | None = Field(default=None, max_length=40, description="null: what the URI says, or sqlite")
    uri: SecretStr | None = Field(
        default=None,
        min_length=1,
        max_length=LONGEST_URI,
        description="where its database is; null, for sqlite: a file of its own. It is told to nobody",
    )
    schemas: Schemas = Field(default_factory=list)
    transports: Transports = Field(default_factory=_usual)
    pool_size: Pool = 5
    pool_min: PoolMin = 0

    def config(self) -> ProjectConfig:
        """What the register takes."""
        return ProjectConfig(
            name=self.name,
            slug=self.slug,
            dialect=self.dialect,
            uri=None if self.uri is None else self.uri.get_secret_value(),
            schemas=self.schemas,
            transports=self.transports,
            pool_size=self.pool_size,
            pool_min=self.pool_min,
        )


class Changes(BaseModel):
    """What of a project is to be changed; what is left out stays."""

    model_config = _taken({"name": "Orphan care (old)", "transports": ["rest"], "poolSize": 10})

    name: Name = ""
    transports: Transports = Field(default_factory=list)
    pool_size: Pool = 5
    pool_min: PoolMin = 0

    def changes(self) -> dict[str, Any]:
        """Those that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class NewUri(BaseModel):
    """Another address of a project's database."""

    model_config = _taken({"uri": "postgresql://care:new-password@db.example:5432/orphan_care"})

    uri: SecretStr = Field(min_length=1, max_length=LONGEST_URI)


class NewSchemas(BaseModel):
    """The entities that a project is to have, all of them."""

    model_config = _taken({"schemas": [_SCHEMA]})

    schemas: Schemas


class ListedProject(BaseModel):
    """A project in a list: without its entities."""

    model_config = _told(_ONE)

    id: str
    account: str
    name: str
    slug: str
    dialect: str
    uri: str = Field(description="without user, password and options")
    transports: list[str]
    not_served: list[str] = Field(description="those of its transports that this host does not serve")
    pool_size: int
    pool_min: int
    status: ProjectStatus
    error: str | None = Field(description="why its database could not be opened")
    mproject_name: str
    transition: Literal["provisioning", "pausing", "resuming", "rotating", "deprovisioning"] | None = Field(
        description="what is being done to it"
    )
    version: int = Field(description="also its ETag")
    created_at: datetime
    updated_at: datetime


class ShownProject(ListedProject):
    """A project."""

    model_config = _told({**_ONE, "schemas": [_SCHEMA]})

    schemas: list[dict[str, Any]]


class Page(BaseModel):
    """Some projects of an account, the oldest first."""

    model_config = _told({"items": [_ONE], "nextCursor": None})

    items: list[ListedProject]
    next_cursor: str | None


class ShownSchemas(BaseModel):
    """The entities of a project."""

    model_config = _told({"schemas": [_SCHEMA]})

    schemas: list[dict[str, Any]]


class Plan(BaseModel):
    """What would be done to the tables of a project."""

    model_config = _told({"plan": ["add the table customers"]})

    plan: list[str]


def shown(project: ProjectDTO) -> ShownProject:
    """A project as it is told of."""
    return ShownProject(schemas=[dict(schema) for schema in project.schemas], **_fields(project))


def page_of(page: ProjectPage) -> Page:
    """A page of a list."""
    return Page(items=[ListedProject(**_fields(project)) for project in page.projects], next_cursor=page.next)


def _fields(project: ProjectDTO) -> dict[str, Any]:
    own = {name: getattr(project, name) for name in ListedProject.model_fields if name != "not_served"}
    not_served = [name for name in project.transports if name not in SERVED_TRANSPORTS]
    return {**own, "transports": list(project.transports), "not_served": not_served}
