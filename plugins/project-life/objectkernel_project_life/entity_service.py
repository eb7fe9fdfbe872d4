"""The entity service of a project: its repositories, on its own database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objectkernel.errors import nearest
from objectkernel_system_dialect.contracts import Dialect, EntitySchema, EntityUnknown, Repository

from objectkernel_project_life.contracts import EntityService
from objectkernel_project_life.gate import Gate
from objectkernel_project_life.project_dialect import ProjectDialect


class ProjectEntityService:
    """The data of one project; see `EntityService`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._dialect = ProjectDialect(gate)

    @property
    def dialect(self) -> Dialect:
        return self._dialect

    def entities(self) -> tuple[EntitySchema, ...]:
        """The project's entities.

        Raises:
            ProjectNotServed: the project is not served.
        """
        return self._gate.schemas()

    def repository(self, entity: str) -> Repository:
        for schema in self.entities():
            if schema.name == entity:
                return Repository(self._dialect, schema)
        known = tuple(schema.name for schema in self.entities())
        near = nearest(entity, known)
        raise EntityUnknown(
            f"{self._gate.name} has no entity {entity!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            why=f"its entities are {', '.join(known) or 'none'}",
            fix="ask for one of them, or give the project another schema",
            entity=entity,
            known=near,
        )


if TYPE_CHECKING:
    _is_an_entity_service: type[EntityService] = ProjectEntityService
