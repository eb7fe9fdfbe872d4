"""What is installed, for commands that change tables while no kernel runs."""

from __future__ import annotations

from collections.abc import Sequence

from objectkernel_system_dialect.contracts import Dialect, EntitySchema

from objectkernel_package_service.install_contracts import PackageNotLoaded
from objectkernel_package_service.install_storage import InstallationStore
from objectkernel_package_service.loading import load
from objectkernel_package_service.object_mapping import ReadSchema
from objectkernel_package_service.resolution import Piece, in_order, unmet


async def installed_schemas(system: Dialect, read_schema: ReadSchema) -> Sequence[EntitySchema]:
    """The entities of all installed packages; see `RuntimeSchemas`.

    Raises:
        KernelError: what one of them has cannot be told.
    """
    stored = await InstallationStore(system, None).read()
    for error in stored.damaged:
        raise error
    pieces = {id: Piece.of(package) for id, package in stored.packages.items()}
    for id, problem in unmet(pieces).items():
        raise PackageNotLoaded(
            f"the tables of the installed package {id} are not known",
            why=str(problem),
            fix="install what it lacks, or uninstall it",
            id=id,
            version=pieces[id].package.version,
        )
    loaded = load(in_order(pieces)[0], read_schema, {})
    return [schema for one in loaded.values() for schema in one.schemas]
