"""`Served`: what this host's manager was given for a project, as small as it can be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import attrs
from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import EntitySchema

from objectkernel_project_life.contracts import ManagedProject, ProjectStatus
from objectkernel_project_life.encryption import UriCipher
from objectkernel_project_life.errors import UriUnreadable
from objectkernel_project_life.storage import Record
from objectkernel_project_life.validation import ReadSchema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTHING: Final = b"[]"
"""The schemas of a project that has none; one object for all of them."""

PACKED: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


@attrs.define
class Reading:
    """How what a row has is read: one object for all projects."""

    cipher: UriCipher
    read_schema: ReadSchema
    _schemas: WeakValueDictionary[str, EntitySchema] = attrs.field(factory=WeakValueDictionary, repr=False)

    def schema(self, document: Any) -> EntitySchema:
        """The schema that a JSON value describes; the same object for as long as a project has one of the same text.

        So databases with the same entities have their tables worked out once.

        Raises:
            SchemaInvalid: it describes none.
        """
        text = PACKED.encode(document)
        found = self._schemas.get(text)
        if found is None:
            found = self._schemas[text] = self.read_schema(document)
        return found


@attrs.define(eq=False)
class Served:
    """A project as the manager has it; what is secret is read when a connection is made.

    Attributes:
        version, status: the row's, as this host knows them.
        uri: as it is stored.
        packed: the schemas, as JSON.
    """

    id: str
    version: int
    status: ProjectStatus
    account: str
    home: str | None
    dialect: str
    uri: str = attrs.field(repr=False)
    pool_size: int
    pool_min: int
    packed: bytes = attrs.field(repr=False)
    reading: Reading = attrs.field(repr=False)

    @classmethod
    def of(cls, record: Record, reading: Reading) -> Served:
        """What the manager is given for a row."""
        return cls(
            id=record.id,
            version=record.version,
            status=record.status,
            account=record.account,
            home=record.home,
            dialect=record.dialect,
            uri=record.uri,
            pool_size=record.pool_size,
            pool_min=record.pool_min,
            packed=_packed(record.schemas),
            reading=reading,
        )

    def managed(self, name: str) -> ManagedProject:
        """What the manager is given."""
        return ManagedProject(
            name=name,
            project_id=self.id,
            account=self.account,
            dialect=self.dialect,
            reveal=self.reveal,
            schemas=self.schemas,
            pool_size=self.pool_size,
            pool_min=self.pool_min,
            home=self.home,
        )

    def reveal(self) -> Secret[str]:
        """The URI in clear.

        Raises:
            UriUnreadable: its key is not there, or it was altered.
        """
        return self.reading.cipher.decrypt(self.uri, self.id)

    def schemas(self) -> tuple[EntitySchema, ...]:
        """The project's entities.

        Raises:
            SchemaInvalid: what is stored is none.
        """
        return tuple(map(self.reading.schema, json.loads(self.packed)))

    def follow(self, record: Record) -> bool:
        """Take over what has changed in the row; False: it takes another connection, and nothing is taken over."""
        same = (self.account, self.home, self.dialect, self.pool_size, self.pool_min, self.packed) == (
            record.account,
            record.home,
            record.dialect,
            record.pool_size,
            record.pool_min,
            _packed(record.schemas),
        )
        if not same or (self.uri != record.uri and not self._means(record.uri)):
            return False
        self.uri, self.version, self.status = record.uri, record.version, record.status
        return True

    def _means(self, uri: str) -> bool:
        """Whether another stored URI is this one, encrypted anew."""
        try:
            return self.reveal() == self.reading.cipher.decrypt(uri, self.id)
        except UriUnreadable:
            return False


def _packed(schemas: Sequence[Mapping[str, Any]]) -> bytes:
    return PACKED.encode(schemas).encode() if schemas else NOTHING
