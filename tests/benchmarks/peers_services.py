"""Asking for a service that is ready, ours and the peers'."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dishka
import lagom
import punq
import svcs
import that_depends
import wireup
from asphalt.core import Context
from dependency_injector import containers, providers
from measuring import LIMIT, OURS, Contender, Row, Target, best_of, repeated
from objectkernel import ObjectKernel, Plugin, Service, needs, provides

COUNT = 200_000


class Database:
    """What is asked for."""


DATABASE = Service[Database]("bench.database")
LAZY = Service[Database]("bench.lazy")


class Store(Plugin):
    name = "bench-store"

    @provides(DATABASE)
    def database(self) -> Database:
        return Database()

    @provides(LAZY, lifetime="lazy")
    async def lazy(self) -> Database:
        return Database()


class Reader(Plugin):
    name = "bench-reader"
    db = needs(DATABASE)


class OverDict:
    """The least that a look-up behind a method can be."""

    def __init__(self, things: dict[Any, Any]) -> None:
        self._things = things

    def get(self, key: Any) -> Any:
        return self._things[key]

    async def aget(self, key: Any) -> Any:
        return self._things[key]


class Injected(containers.DeclarativeContainer):
    db = providers.Singleton(Database)


class Depends(that_depends.BaseContainer):
    db = that_depends.providers.Singleton(Database)


@wireup.injectable
def wired_database() -> Database:
    return Database()


def dishka_provider() -> dishka.Provider:
    provider = dishka.Provider(scope=dishka.Scope.APP)
    provider.provide(Database)
    return provider


def svcs_container() -> svcs.Container:
    registry = svcs.Registry()
    registry.register_factory(Database, Database)
    return svcs.Container(registry)


async def asphalt_context() -> Context:
    context = Context()
    context.add_resource(Database())
    return context


@contextmanager
def booted(runner: asyncio.Runner, *plugins: Any) -> Iterator[ObjectKernel]:
    """A kernel that is up."""
    kernel = ObjectKernel(plugins=plugins, discover=False, environ={})
    runner.run(kernel.bootstrap())
    try:
        yield kernel
    finally:
        runner.run(kernel.shutdown())


def get_ready() -> Row:
    """A ready singleton, synchronously."""
    with asyncio.Runner() as runner, booted(runner, Store) as kernel:
        punq_container = punq.Container()
        punq_container.register(Database, scope=punq.Scope.singleton)
        lagom_container = lagom.Container()
        lagom_container[Database] = lagom.Singleton(Database)
        injected = Injected()
        locked = dishka.make_container(dishka_provider())
        free = dishka.make_container(dishka_provider(), lock_factory=None)
        asphalt = runner.run(asphalt_context())
        statements: dict[str, tuple[str, dict[str, Any]]] = {
            LIMIT: ("things[key]", {"things": {str(DATABASE): Database()}, "key": str(DATABASE)}),
            OURS: ("kernel.get(key)", {"kernel": kernel, "key": DATABASE}),
            "dependency-injector": ("it.db()", {"it": injected}),
            "wireup": ("it.get(kind)", {"it": wireup.create_sync_container(injectables=[wired_database])}),
            "lagom": ("it[kind]", {"it": lagom_container}),
            "dishka": ("it.get(kind)", {"it": locked}),
            "dishka without locks": ("it.get(kind)", {"it": free}),
            "svcs": ("it.get(kind)", {"it": svcs_container()}),
            "asphalt": ("it.require_resource(kind)", {"it": asphalt}),
            "punq": ("it.resolve(kind)", {"it": punq_container}),
        }
        results = best_of(7, {n: _repeated(s, v) for n, (s, v) in statements.items()})
        return Row.of("get a ready singleton", "ns", results, Target(of_limit=3.0, ahead=True))


def _repeated(statement: str, names: dict[str, Any]) -> Contender:
    return repeated(statement, COUNT, **({"kind": Database} | names))


def injected_need() -> Row:
    """What a plugin needs is an attribute of it: nothing of ours runs when it is read."""
    with asyncio.Runner() as runner:
        reader = Reader()
        with booted(runner, Store, reader):
            plain = OverDict({})
            contenders = {
                LIMIT: repeated("things[key]", COUNT, things={str(DATABASE): 1}, key=str(DATABASE)),
                OURS: repeated("it.db", COUNT, it=reader),
                "an attribute of a plain object": repeated("it._things", COUNT, it=plain),
            }
            return Row.of("read an injected need", "ns", best_of(7, contenders), Target(of_limit=3.0))


def await_ready() -> Row:
    """A lazily made service that is ready, awaited."""
    with asyncio.Runner() as runner, booted(runner, Store) as kernel:
        runner.run(kernel.aget(LAZY))
        asphalt = runner.run(asphalt_context())
        statements: dict[str, tuple[str, dict[str, Any]]] = {
            LIMIT: ("await it.aget(key)", {"it": OverDict({str(LAZY): Database()}), "key": str(LAZY)}),
            OURS: ("await kernel.aget(key)", {"kernel": kernel, "key": LAZY}),
            "wireup": (
                "await it.get(kind)",
                {"it": wireup.create_async_container(injectables=[wired_database])},
            ),
            "that-depends": ("await it.resolve()", {"it": Depends.db}),
            "svcs": ("await it.aget(kind)", {"it": svcs_container()}),
            "dishka": ("await it.get(kind)", {"it": dishka.make_async_container(dishka_provider())}),
            "asphalt": ("await it.request_resource(kind)", {"it": asphalt}),
        }
        contenders = {
            name: repeated(statement, COUNT // 2, runner, **({"kind": Database} | names))
            for name, (statement, names) in statements.items()
        }
        return Row.of("await a ready lazy service", "ns", best_of(7, contenders), Target(of_limit=1.5, ahead=True))


def rows() -> list[Row]:
    """The look-ups."""
    return [get_ready(), injected_need(), await_ready()]
