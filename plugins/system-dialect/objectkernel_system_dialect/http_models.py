"""What bodies and answers of the data plane look like, whatever the entity: pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from objectkernel_system_dialect.data_plug import SchemaStrategy
from objectkernel_system_dialect.wire import whole

Filter = dict[str, Any]
Names = list[str]
Sort = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": {"enum": [1, -1]}})]
MOST: Final = 2**53 - 1
"""The largest whole number that every reader of JSON has exactly (RFC 8259, section 6)."""
Whole = BeforeValidator(whole)
Count = Annotated[int, Field(ge=0, le=MOST), Whole]
Limit = Annotated[int, Field(ge=1, le=MOST), Whole]
Text = Annotated[str | None, WithJsonSchema({"type": "string"})]
"""A parameter that may be left out: a URL has no null."""


class Body(BaseModel):
    """A body: nothing that it does not know is let pass."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(Body):
    """Which rows, in which order, and what of them."""

    filter: Filter = {}
    sort: Sort | None = Field(default=None, description="fields in order of weight, 1 up and -1 down")
    skip: Count = 0
    limit: Limit | None = None
    after: str | None = Field(default=None, description="`next` of the page before")
    select: Names | None = None
    exclude: Names | None = None
    include: Names | None = Field(default=None, description="relations to load")


class Matching(Body):
    """Rows that match a filter."""

    filter: Filter = {}


class Distinct(Matching):
    """The different values of a field."""

    field: str


class Pipeline(Body):
    """Stages, each a mapping with one key: `$match`, `$group`, `$sort`, `$skip`, `$limit`."""

    pipeline: Annotated[Any, WithJsonSchema({"type": "array", "items": {"type": "object"}})]


class Search(Matching):
    """Rows in which every word of a text is found."""

    text: str
    fields: Names | None = None
    sort: Sort | None = None
    skip: Count = 0
    limit: Limit | None = None


class Increment(Body):
    """How much to add to which field."""

    field: str
    by: Annotated[Any, WithJsonSchema({"type": ["number", "string"]})] = Field(
        default=1, description="of a decimal a text"
    )


class SetChange(Body):
    """What to put into an array, or to take out."""

    field: str
    value: Annotated[Any, Whole]


class UpdateMany(Matching):
    """What to change in all rows that match."""

    changes: dict[str, Any]
    all: bool = Field(default=False, description="needed when every row matches")


class DeleteMany(Matching):
    """Which rows to delete."""

    all: bool = Field(default=False, description="needed when every row matches")
    hard: bool = Field(default=False, description="for good, where deleting is soft")


def _exactly_one(shape: dict[str, Any]) -> None:
    """Each member may be left out, and none is null."""
    shape |= {"minProperties": 1, "maxProperties": 1}
    shape["properties"] = {name: one["anyOf"][0] for name, one in shape["properties"].items()}


class Bulk(Body):
    """One of: rows to create, a change to many, a deletion of many."""

    model_config = ConfigDict(json_schema_extra=_exactly_one)

    create: list[dict[str, Any]] | None = None
    update: UpdateMany | None = None
    delete: DeleteMany | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1 or getattr(self, *self.model_fields_set) is None:
            raise ValueError("give exactly one of create, update, delete")
        return self


class Nothing(Body):
    """An empty body."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class ChangeDialect(Body):
    """Another database for the business data."""

    dialect: str = Field(examples=["sqlite"])
    uri: SecretStr = Field(
        description="a connection string; it is neither logged nor stored",
        examples=["shop.db"],
    )
    schema_strategy: SchemaStrategy | None = None


class ListParameters(BaseModel):
    """Which rows, in which order, and what of them, in a URL."""

    model_config = ConfigDict(extra="forbid")

    filter: Text = Field(default=None, description="a filter as JSON")
    sort: Text = Field(default=None, description="fields with commas between, with '-' before one going down")
    skip: int = Field(default=0, ge=0, le=MOST)
    limit: int | None = Field(default=None, ge=1, le=MOST, examples=[10])
    after: Text = Field(default=None, description="`next` of the page before")
    select: Text = Field(default=None, description="names with commas between, as all lists here")
    exclude: Text = None
    include: Text = Field(default=None, description="relations to load")


class ReadParameters(BaseModel):
    """What to load with a row."""

    model_config = ConfigDict(extra="forbid")

    include: Text = Field(default=None, description="relations to load, with commas between")


class DeleteParameters(BaseModel):
    """How to delete."""

    model_config = ConfigDict(extra="forbid")

    hard: bool = Field(default=False, description="for good, where deleting is soft")


class Counted(BaseModel):
    """How many rows."""

    count: int = Field(examples=[3])


class Existing(BaseModel):
    """Whether there is one."""

    exists: bool = Field(examples=[True])


class Values(BaseModel):
    """Values, sorted."""

    values: list[Any] = Field(examples=[["atlas", "novel"]])


class Groups(BaseModel):
    """What a pipeline gives: `_id` and the accumulators."""

    rows: list[dict[str, Any]] = Field(examples=[[{"_id": "novel", "rows": 3}]])


class Written(BaseModel):
    """What a bulk insert has written."""

    rows: list[dict[str, Any]] = Field(examples=[[{"id": "6f1c2d5e-8a94-4b0e-9d3f-2b7c5a1e4f60"}]])


class BulkDone(RootModel[Written | Counted]):
    """The rows that were created, or how many were changed or deleted."""


class Described(BaseModel):
    """What this server offers to the caller."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dialect": "sqlite",
                    "capabilities": ["transaction"],
                    "page_default": 50,
                    "page_max": 1000,
                    "entities": {"books": {"entity": "Book", "names": {"id": "string key", "title": "string"}}},
                }
            ]
        }
    )

    dialect: str
    capabilities: list[str]
    page_default: int
    page_max: int
    entities: dict[str, dict[str, Any]]


class Done(BaseModel):
    """The switch is made."""

    changed: bool = Field(examples=[True])
