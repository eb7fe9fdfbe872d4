"""Databases for one caller each: opened with their schemas, what is to be done to them, and which one it is."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import attrs
import pytest
from objectkernel import Plugin, Secret, contributes
from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.contracts import (
    DATA_PLUG,
    DIALECT,
    MIGRATIONS,
    SYSTEM_DIALECT,
    BaseDialect,
    DataPlug,
    Dialect,
    EntitySchema,
    Field,
    IsolatedOptions,
    Migration,
    OperationUnsupported,
    Relation,
    SchemaInvalid,
    SchemaOutdated,
)
from objectkernel_system_dialect.migration_runs import MigrationStep
from objectkernel_system_dialect.opening import ConnectionOptions, SqlOpening
from objectkernel_system_dialect.openings import database_opening
from objectkernel_system_dialect.registered import Draft, Registered
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite
from sqlalchemy import inspect

from tests.plugins.system_dialect.databases import run_on_postgres
from tests.plugins.system_dialect.kernels import in_files, shop

pytestmark = pytest.mark.anyio

NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("string")})
LONGER = attrs.evolve(NOTE, fields={"text": Field("string"), "stars": Field("integer", default=0)})
TAG = EntitySchema(name="Tag", collection="tags", fields={"name": Field("string", unique=True)})
OPENED = pytest.param("sqlite", None, id="sqlite")
ON_SERVERS = [
    pytest.param("postgres", "postgres_url", marks=pytest.mark.postgres, id="postgres"),
    pytest.param("mariadb", "mariadb_url", marks=pytest.mark.mariadb, id="mariadb"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the drivers of servers know."""
    return "asyncio"


@pytest.fixture
async def plug(anyio_backend: str, tmp_path: Path) -> AsyncIterator[DataPlug]:
    """The plug of a kernel whose databases are files."""
    async with shop(in_files(tmp_path)) as kernel:
        yield kernel.get(DATA_PLUG)


def place(dialect: str, fixture: str | None, request: pytest.FixtureRequest, folder: Path) -> str:
    if fixture is None:
        return str(folder / "own.db")
    url: str = request.getfixturevalue(fixture)
    return url


# --- opening ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "fixture"), [OPENED, *ON_SERVERS])
async def test_it_is_opened_with_its_schemas(
    plug: DataPlug, dialect: str, fixture: str | None, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Its tables are there when it is; so they are made to fit, as the strategy says."""
    uri = place(dialect, fixture, request, tmp_path)
    async with aclosing(await plug.open_isolated_dialect(dialect, uri, "update", schemas=[NOTE, TAG])) as own:
        assert own.schemas() == (NOTE, TAG)
        await own.create(NOTE, {"text": "a"})
    async with aclosing(await plug.open_isolated_dialect(dialect, uri, "update", schemas=[LONGER])) as own:
        (row,) = await own.find(LONGER)
        assert (row["text"], row["stars"]) == ("a", None)


async def test_one_that_does_not_fit_is_not_open(plug: DataPlug, tmp_path: Path) -> None:
    """Where the schemas are refused nothing is left open: the threads of the file have ended."""
    threads = threading.active_count()
    for schemas, error in (([NOTE, attrs.evolve(TAG, name="Note")], SchemaInvalid), ([NOTE], SchemaOutdated)):
        with pytest.raises(error):
            await plug.open_isolated_dialect("sqlite", str(tmp_path / "own.db"), "validate", schemas=schemas)
    with anyio.fail_after(30):
        while threading.active_count() > threads:
            await anyio.sleep(0.01)


@pytest.mark.parametrize("cancelled_after", [0.0, 0.001, 0.003, 0.01])
async def test_an_opening_that_is_cancelled_leaves_nothing(
    plug: DataPlug, tmp_path: Path, cancelled_after: float
) -> None:
    """Its file can be opened again at once, whole or not yet made."""
    path = str(tmp_path / "own.db")
    with anyio.move_on_after(cancelled_after):
        opened = await plug.open_isolated_dialect("sqlite", path, "update", schemas=[NOTE, TAG])
        await opened.aclose()
    async with aclosing(await plug.open_isolated_dialect("sqlite", path, "update", schemas=[NOTE, TAG])) as own:
        assert await own.count(TAG) == 0


def test_options_take_the_place_of_settings() -> None:
    """What is None is as the plugin's own settings say."""
    config = SystemDialectConfig(pool_size=7, command_timeout=3.0, statement_cache=0)
    url = Secret("postgresql://nobody@127.0.0.1/x")
    own = IsolatedOptions(pool_min=1, connect_timeout=2.0)
    opening = cast("SqlOpening", database_opening(config, "postgres", url, "none", isolated=own))
    assert opening.options == ConnectionOptions(
        pool_size=7, pool_min=1, command_timeout=3.0, connect_timeout=2.0, statement_cache=0
    )
    plain = cast("SqlOpening", database_opening(config, "postgres", url, "none"))
    assert plain.options == attrs.evolve(opening.options, pool_min=0, connect_timeout=10.0)


@pytest.mark.parametrize("wrong", [{"pool_size": 0}, {"pool_min": -1}, {"connect_timeout": 0}, {"command_timeout": -1}])
def test_options_that_cannot_be(wrong: dict[str, Any]) -> None:
    """A pool of nothing and a time that is none are refused."""
    with pytest.raises(ValueError):
        IsolatedOptions(**wrong)


class Renaming(Plugin):
    """Has a migration on a table that a tenant's own may be called like."""

    name = "renaming"
    ran = 0

    @contributes(MIGRATIONS, uses=())
    def migration(self) -> Migration:
        def apply(step: MigrationStep) -> None:
            Renaming.ran += 1

        return Migration("renaming", 1, "rename", apply, collections="notes")


@pytest.mark.parametrize("wanted", [True, False])
async def test_migrations_of_plugins_may_be_left_out(tmp_path: Path, wanted: bool) -> None:
    """They work on tables by their names, which another's database may have too."""
    Renaming.ran, options = 0, IsolatedOptions(migrations=wanted)
    path = str(tmp_path / "own.db")
    async with shop(in_files(tmp_path), Renaming) as kernel:
        plug = kernel.get(DATA_PLUG)
        async with aclosing(await open_sqlite(path)) as made:
            await made.register(NOTE)
        async with aclosing(
            await plug.open_isolated_dialect("sqlite", path, "update", schemas=[LONGER], options=options)
        ):
            assert Renaming.ran == int(wanted)


async def test_many_tables_are_worked_out_while_others_go_on(
    plug: DataPlug, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Many take a second: the event loop does not stand still for it. Few are not worth a thread."""
    threads: list[int] = []
    draft = Registered.draft

    def watched(self: Registered, schemas: Sequence[EntitySchema]) -> Draft | None:
        threads.append(threading.get_ident())
        return draft(self, schemas)

    monkeypatch.setattr(Registered, "draft", watched)
    many = [EntitySchema(name=f"E{one}", collection=f"e{one}", fields={"a": Field("string")}) for one in range(60)]
    for schemas, here in (([NOTE], True), (many, False)):
        threads.clear()
        async with aclosing(await plug.open_isolated_dialect("sqlite", str(tmp_path / "own.db"), schemas=schemas)):
            assert [ident == threading.get_ident() for ident in threads] == [here]


# --- what is to be done to it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "fixture"), [OPENED, *ON_SERVERS])
async def test_a_plan_is_what_an_update_does(
    plug: DataPlug, dialect: str, fixture: str | None, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each step is told, none is made; once they are made nothing is left, and what is gone from the schemas stays."""
    uri = place(dialect, fixture, request, tmp_path)
    async with aclosing(await plug.open_isolated_dialect(dialect, uri, "update", schemas=[NOTE])) as own:
        await own.create(NOTE, {"text": "a"})
        assert await plug.plan_schemas(own, [NOTE]) == ()
        assert await plug.plan_schemas(own, []) == ()
        assert await plug.plan_schemas(own, [NOTE, TAG]) == ("create the table tags",)
        lines = await plug.plan_schemas(own, [LONGER, TAG])
        assert len(lines) == 2 and "create the table tags" in lines
        (added,) = set(lines) - {"create the table tags"}
        assert "stars" in added and "notes" in added
        tables = await cast("SqlDialect", own).schema_work(lambda core, _: set(inspect(core).get_table_names()))
        assert "tags" not in tables and own.schemas() == (NOTE,)
        assert await plug.plan_schemas(own, [TAG]) == ("create the table tags",)
    async with aclosing(await plug.open_isolated_dialect(dialect, uri, "update", schemas=[LONGER, TAG])) as own:
        assert await plug.plan_schemas(own, [LONGER, TAG]) == ()


async def test_a_plan_refuses_what_an_update_would(plug: DataPlug, tmp_path: Path) -> None:
    """Values that do not fit, and schemas that contradict themselves, are told as they would be."""
    path = str(tmp_path / "own.db")
    strict = attrs.evolve(NOTE, fields={"text": Field("string", required=True)})
    stray = attrs.evolve(TAG, relations={"note": Relation("Nobody")})
    async with aclosing(await plug.open_isolated_dialect("sqlite", path, "update", schemas=[NOTE])) as own:
        await own.create(NOTE, {})
        with pytest.raises(SchemaOutdated) as planned:
            await plug.plan_schemas(own, [strict])
        with pytest.raises(SchemaInvalid):
            await plug.plan_schemas(own, [stray])
    with pytest.raises(SchemaOutdated) as updated:
        await plug.open_isolated_dialect("sqlite", path, "update", schemas=[strict])
    assert planned.value.facts["differences"] == updated.value.facts["differences"]


async def test_a_plan_tells_of_migrations(tmp_path: Path) -> None:
    """Those that would run on tables that are there are told before the steps."""
    path = str(tmp_path / "own.db")
    async with shop(in_files(tmp_path), Renaming) as kernel:
        plug = kernel.get(DATA_PLUG)
        async with aclosing(await open_sqlite(path)) as made:
            await made.register(NOTE)
        async with aclosing(await plug.open_isolated_dialect("sqlite", path)) as own:
            assert await plug.plan_schemas(own, [NOTE, TAG]) == (
                "run migration 1 of renaming: rename",
                "create the table tags",
            )


async def test_settings_hold_as_they_were_read_last(tmp_path: Path) -> None:
    """However many databases are opened; `reload_config` reads them again, for those that follow."""
    folders = [tmp_path / name for name in ("first", "second")]
    environ = {**in_files(tmp_path), "OBJECTKERNEL_DATA_DIR": str(folders[0])}
    async with shop(environ) as kernel:
        plug = kernel.get(DATA_PLUG)
        for number, there in enumerate(([True, False], [True, False], [True, True])):
            if number == 2:
                assert await plug.reload_config() is False
            async with aclosing(await plug.open_isolated_dialect("sqlite", f"{{data_dir}}/{number}.db")):
                assert [folder.exists() for folder in folders] == there
            environ["OBJECTKERNEL_DATA_DIR"] = str(folders[1])


# --- which one it is ----------------------------------------------------------------------------------------------


def _at_localhost(url: str) -> str:
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@localhost:{parts.port}").geturl()


async def identities(plug: DataPlug, *places: tuple[str, str]) -> list[str]:
    """The identities of databases, all of them open at once."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(aclosing(await plug.open_isolated_dialect(*one))) for one in places]
        return [await plug.database_identity(one) for one in opened]


@pytest.mark.postgres
async def test_one_database_of_postgres(plug: DataPlug, postgres_url: str) -> None:
    """However its place is spelt it is the same; another database of the same server is another."""
    spelt = [
        postgres_url,
        _at_localhost(postgres_url),
        postgres_url.replace("postgresql://", "postgres://") + "?application_name=x",
        urlsplit(postgres_url)._replace(path="/postgres").geturl(),
    ]
    one, *same, other = await identities(plug, *(("postgres", url) for url in spelt))
    assert set(same) == {one} and other != one


@pytest.mark.postgres
async def test_a_database_cannot_pass_itself_off_as_another(plug: DataPlug, postgres_url: str) -> None:
    """Its owner may put functions before the server's own; what tells databases apart does not ask them."""
    name = urlsplit(postgres_url).path.removeprefix("/")
    (before,) = await identities(plug, ("postgres", postgres_url))
    feigning = f"""
        CREATE SCHEMA feigned;
        CREATE FUNCTION feigned.current_database() RETURNS name LANGUAGE sql AS $$ SELECT 'postgres'::name $$;
        CREATE FUNCTION feigned.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '1'::text $$;
        CREATE FUNCTION feigned.pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql
            AS $$ SELECT timestamptz '2000-01-01' $$;
        CREATE FUNCTION feigned.same(name, name) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
        CREATE OPERATOR feigned.= (LEFTARG = name, RIGHTARG = name, FUNCTION = feigned.same);
        ALTER DATABASE "{name}" SET search_path = feigned, pg_catalog, public;
        ALTER DATABASE "{name}" SET timezone = 'Asia/Kathmandu'"""
    run_on_postgres(postgres_url, feigning)
    assert await identities(plug, ("postgres", postgres_url)) == [before]


@pytest.mark.mariadb
async def test_one_database_of_mariadb(plug: DataPlug, mariadb_url: str) -> None:
    """However its place is spelt it is the same; another database of the same server is another."""
    spelt = [mariadb_url, _at_localhost(mariadb_url), mariadb_url.replace("mysql://", "mariadb://")]
    other_url = urlsplit(mariadb_url)._replace(path="/mysql").geturl()
    one, *same, other = await identities(plug, *(("mariadb", url) for url in (*spelt, other_url)))
    assert set(same) == {one} and other != one


async def test_one_file_of_sqlite(plug: DataPlug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever path or link it is reached it is the same; every database in memory is another."""
    file = tmp_path / "one.db"
    async with aclosing(await open_sqlite(str(file))):
        pass
    (tmp_path / "link.db").symlink_to(file)
    (tmp_path / "hard.db").hardlink_to(file)
    monkeypatch.chdir(tmp_path)
    spelt = [str(file), f"sqlite:///{file}", "one.db", str(tmp_path / "link.db"), str(tmp_path / "hard.db")]
    others = [str(tmp_path / "other.db"), ":memory:", ":memory:"]
    one, *rest = await identities(plug, *(("sqlite", uri) for uri in (*spelt, *others)))
    assert rest[:4] == [one] * 4
    assert len({one, *rest[4:]}) == 4


async def test_what_is_behind_a_dialect_now(tmp_path: Path) -> None:
    """Of a dialect that may be switched it is the database that is there now, also as a tenant sees it."""
    async with shop(in_files(tmp_path)) as kernel:
        plug, business = kernel.get(DATA_PLUG), kernel.get(DIALECT)
        before, system = (
            await plug.database_identity(business),
            await plug.database_identity(kernel.get(SYSTEM_DIALECT)),
        )
        assert before != system
        assert await plug.database_identity(business.as_tenant("ada")) == before
        assert await identities(plug, ("sqlite", str(tmp_path / "business.db"))) == [before]
        await plug.change_dialect("sqlite", str(tmp_path / "system.db"))
        assert await plug.database_identity(business) == system
        assert await plug.plan_schemas(business, [NOTE]) == ("create the table notes",)


class Stranger(BaseDialect):
    """A dialect of somebody else's, that knows nothing of its database."""

    name = "stranger"

    def schemas(self) -> tuple[EntitySchema, ...]:
        return ()

    async def register(self, *schemas: EntitySchema) -> None:
        """Whatever it is given."""

    async def ping(self) -> None:
        """It is there."""


async def test_a_dialect_that_cannot_tell(plug: DataPlug) -> None:
    """It says so, also where it stands behind a dialect that may be switched."""
    stranger = cast("Dialect", Stranger())
    await plug.set_dialect(stranger)
    for dialect in (stranger, await plug.get_dialect()):
        with pytest.raises(OperationUnsupported, match="stranger"):
            await plug.database_identity(dialect)
        with pytest.raises(OperationUnsupported, match="stranger"):
            await plug.plan_schemas(dialect, [NOTE])
