"""What a dialect gets for nothing: relations in few queries, many keys, refusals that name their capability."""

from __future__ import annotations

from typing import Any

import pytest
from objectkernel_system_dialect.base_dialect import BaseDialect
from objectkernel_system_dialect.contracts import EntitySchema, EntityUnknown, Field, OperationUnsupported, Relation
from objectkernel_system_dialect.sql_dialect import SqlDialect

pytestmark = pytest.mark.anyio

TEAM = EntitySchema(
    name="Team",
    collection="teams",
    fields={"name": Field("string")},
    relations={"players": Relation("Player", kind="one-to-many", mapped_by="team")},
)
PLAYER = EntitySchema(
    name="Player",
    collection="players",
    fields={"name": Field("string")},
    relations={
        "team": Relation("Team"),
        "captain": Relation("Player", on_delete="set-null"),
        "friends": Relation("Player", kind="many-to-many"),
    },
)
NUMBER = EntitySchema(name="Number", collection="numbers", key=("n",), fields={"n": Field("integer")})


@pytest.fixture
async def queries(dialect: SqlDialect, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The entities of the queries made since a team of twenty players was there."""
    await dialect.register(TEAM, PLAYER)
    await dialect.create(TEAM, {"id": "t"})
    await dialect.create_many(PLAYER, [{"id": f"p{n}", "team": "t" if n % 2 else None} for n in range(20)])
    await dialect.update_many(PLAYER, {}, {"captain": "p0"}, all=True)
    await dialect.update(PLAYER, "p1", {"friends": ["p2", "p3"]})
    made: list[str] = []

    def counted(fetch: Any) -> Any:
        def call(entity: str, *args: Any, **options: Any) -> Any:
            made.append(entity)
            return fetch(entity, *args, **options)

        return call

    for name in ("fetch", "fetch_by_key"):
        monkeypatch.setattr(dialect._calls, name, counted(getattr(dialect._calls, name)))
    return made


async def test_a_relation_costs_one_query(dialect: SqlDialect, queries: list[str]) -> None:
    """However many rows lead to however many others, and none where there is nothing to look for."""
    players = await dialect.find(PLAYER, include=["team", "captain", "friends"])
    assert queries == ["Player", "Team", "Player", "Player"]
    assert all(player["captain"]["id"] == "p0" for player in players)
    queries.clear()
    await dialect.find_page(TEAM, include=["players"])
    await dialect.find_by_id(TEAM, "t", include="players")
    assert queries == ["Team", "Player"] * 2
    queries.clear()
    await dialect.find(PLAYER, {"id": "nobody"}, include=["team", "friends"])
    await dialect.find_one(PLAYER, {"team": None}, include=["team"])
    assert queries == ["Player", "Player"]


async def test_loaded_rows_are_each_ones_own(dialect: SqlDialect, queries: list[str]) -> None:
    """A row that several lead to may be changed in one place and stays as it was in the others."""
    first, second = await dialect.find(PLAYER, {"team": "t"}, limit=2, include=["captain"])
    first["captain"]["name"] = "changed"
    assert second["captain"]["name"] is None


async def test_more_keys_than_a_list_takes(dialect: SqlDialect) -> None:
    """They are looked for in several queries, and come in the order asked for."""
    await dialect.register(NUMBER)
    await dialect.create_many(NUMBER, [{"n": n} for n in range(0, 40_000, 1000)])
    wanted = list(range(39_999, -1, -1))
    assert [row["n"] for row in await dialect.find_by_ids(NUMBER, wanted)] == list(range(39_000, -1, -1000))


async def test_a_relation_needs_both_of_its_entities(dialect: SqlDialect, queries: list[str]) -> None:
    """Where the other's schema is not among those of the dialect, the error names it."""

    class Forgetful(BaseDialect):
        name = "forgetful"

        def schemas(self) -> tuple[EntitySchema, ...]:
            return (PLAYER,)

    with pytest.raises(EntityUnknown) as caught:
        await Forgetful().included(PLAYER, [{"id": "p", "team": "t"}], ["team"])
    assert caught.value.facts["entity"] == "Team"


async def test_what_is_not_there_is_refused_by_its_capability() -> None:
    """A dialect that says nothing of transactions and SQL has neither."""

    class Plain(BaseDialect):
        name = "plain"

    dialect = Plain()
    assert dialect.capabilities == frozenset()
    for call, capability in ((dialect.transaction, "transaction"), (lambda: dialect.table(TEAM), "execute")):
        with pytest.raises(OperationUnsupported) as caught:
            call()
        assert caught.value.facts == {"dialect": "plain", "capability": capability}
    with pytest.raises(OperationUnsupported):
        await dialect.execute(None)  # type: ignore[arg-type]
