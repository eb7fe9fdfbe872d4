"""Random sequences of everything that the registry can do agree with a small model, on every database."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import attrs
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from objectkernel_package_service.contracts import PackageError
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.table import SCHEMAS
from objectkernel_system_dialect.sql_dialect import SqlDialect

from tests.plugins.package_service.databases import KINDS, opened
from tests.plugins.package_service.package_model import ADMITS, ASCENDING, Model, Refused

IDS = ("alpha", "beta", "beta.gamma")
CALLERS = (None, "ada", "bob")
id_ = st.sampled_from(IDS)
version_ = st.sampled_from(ASCENDING)
by_ = st.sampled_from(CALLERS)
tag_ = st.sampled_from(["next", "stable"])
wanted_ = st.sampled_from(["latest", "next", "stable", *ASCENDING, *ADMITS])
said_ = st.fixed_dictionaries(
    {},
    optional={
        "tag": tag_,
        "visibility": st.sampled_from(["public", "private"]),
        "policy": st.sampled_from(["mutable", "immutable"]),
    },
)
needs_ = st.dictionaries(id_, st.sampled_from(list(ADMITS)), max_size=2)


@attrs.frozen
class Bench:
    """A registry in an event loop beside the test."""

    portal: object
    dialect: SqlDialect
    registry: PackageRegistry

    def call(self, operation, *args, **options):
        return self.portal.call(partial(getattr(self.registry, operation), *args, **options))

    def empty(self):
        for schema in SCHEMAS:
            self.portal.call(partial(self.dialect.delete_many, schema, {}, all=True))


class Comparison(RuleBasedStateMachine):
    """Does each thing to the registry and to the model; both answer alike, and both hold the same afterwards."""

    bench: Bench

    def __init__(self):
        super().__init__()
        self.bench.empty()
        self.model = Model()

    def both(self, expected, operation, *args, **options):
        """What the registry answers, if the model answers at all; otherwise both refuse it alike."""
        try:
            wanted = expected()
        except Refused as refusal:
            with pytest.raises(PackageError) as caught:
                self.bench.call(operation, *args, **options)
            assert type(caught.value).__name__ == refusal.args[0]
            return None
        assert self.bench.call(operation, *args, **options) == wanted
        return wanted

    @rule(id=id_, version=version_, content=st.integers(0, 2), needs=needs_, by=by_, said=said_)
    def publish(self, id, version, content, needs, by, said):
        package = {
            "manifest": {"id": id, "version": version, "dependencies": needs},
            "metadata": {"content": [{"number": content}]},
        }
        content = repr((content, sorted(needs.items())))
        try:
            self.model.publish(id, version, content, needs, by, **said)
        except Refused as refusal:
            with pytest.raises(PackageError) as caught:
                self.bench.call("publish", package, owner=by, **said)
            assert type(caught.value).__name__ == refusal.args[0]
        else:
            record = self.bench.call("publish", package, owner=by, **said)
            stored = self.bench.call("get", id, version)
            assert record in (stored, attrs.evolve(stored, previous_hash=stored.hash))  # the latter: nothing to do
            assert row(record) == self.model.row(id, version)

    @rule(id=id_, wanted=wanted_, by=by_)
    def get(self, id, wanted, by):
        record = self.bench.call("get", id, wanted, owner=by)
        expected = self.model.get(id, wanted, by)
        assert (record is None) == (expected is None)
        if record is not None:
            needs = sorted(record.manifest["dependencies"].items())
            assert (record.version, repr((record.metadata["content"][0]["number"], needs))) == expected

    @rule(id=id_, version=version_, by=by_, force=st.booleans())
    def delete(self, id, version, by, force):
        self.both(
            lambda: self.model.delete(id, [version], by, force=force), "delete", id, version, owner=by, force=force
        )

    @rule(id=id_, by=by_, force=st.booleans())
    def delete_all(self, id, by, force):
        expected = partial(self.model.delete, id, None, by, force=force)
        self.both(expected, "delete", id, all_versions=True, owner=by, force=force)

    @rule(id=id_, version=version_, tag=tag_, by=by_)
    def tag(self, id, version, tag, by):
        self.both(
            lambda: self.model.expects(id, version, by).tags.__setitem__(tag, version),
            "tag",
            id,
            tag,
            version,
            owner=by,
        )

    @rule(id=id_, tag=tag_, by=by_)
    def untag(self, id, tag, by):
        def expected():
            one = self.model.changes(id, by)
            return one is not None and one.tags.pop(tag, None) is not None

        self.both(expected, "untag", id, tag, owner=by)

    @rule(id=id_, version=version_, yanked=st.booleans(), by=by_)
    def yank(self, id, version, yanked, by):
        def expected():
            self.model.expects(id, version, by).versions[version].yanked = yanked

        self.both(expected, "yank", id, version, yanked, owner=by)

    @rule(id=id_, version=st.none() | version_, message=st.sampled_from([None, "use beta"]), by=by_)
    def deprecate(self, id, version, message, by):
        def expected():
            versions = self.model.expects(id, version, by).versions
            for one in versions if version is None else [version]:
                versions[one].deprecated = message

        self.both(expected, "deprecate", id, version, message, owner=by)

    @rule(
        id=id_,
        visibility=st.sampled_from([None, "public", "private"]),
        policy=st.sampled_from([None, "mutable", "immutable"]),
        by=by_,
    )
    def configure(self, id, visibility, policy, by):
        def expected():
            one = self.model.expects(id, None, by)
            self.model.stays_immutable(one, policy, by)
            one.visibility, one.policy = visibility or one.visibility, policy or one.policy

        self.both(expected, "configure", id, visibility=visibility, policy=policy, owner=by)

    @invariant()
    def the_lists_are_the_same(self):
        for by in CALLERS:
            assert rows(self.pages("list", owner=by)) == self.model.list(by)
            assert rows(self.pages("list", owner=by, all_versions=True)) == self.model.list(by, all_versions=True)
            assert rows(self.pages("list", owner=by, search="Beta")) == self.model.list(by, word="beta")

    @invariant()
    def what_is_known_of_each_package_is_the_same(self):
        for id, one in self.model.known.items():
            newest = sorted(one.versions, key=lambda version: -one.versions[version].sequence)
            assert [item.version for item in self.pages("versions", id)] == newest
            if newest:
                assert self.bench.call("tags", id) == one.tags
            changes = [entry for entry in self.pages("history", id) if entry.action in ("publish", "delete")]
            assert [(entry.action, entry.version, entry.by) for entry in reversed(changes)] == one.history

    def pages(self, operation, *args, **options) -> Iterator[object]:
        """All items of a list, two a page."""
        page = self.bench.call(operation, *args, limit=2, **options)
        yield from page.items
        while page.after is not None:
            page = self.bench.call(operation, *args, limit=2, after=page.after, **options)
            yield from page.items


def row(item):
    return item.id, item.version, item.owner, item.visibility, item.policy, item.tags, item.deprecated, item.yanked


def rows(items):
    return [row(item) for item in items]


def compare(kind, url, examples):
    """Run random sequences on a database."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(opened(kind, url)) as place,
    ):
        machine = type("Machine", (Comparison,), {"bench": Bench(portal, place.dialect, place.registry)})
        run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25))


def test_random_sequences_agree_with_the_model_on_sqlite():
    """Publish, tag, yank, deprecate, configure, delete, get and list: the answers, errors and lists are the model's."""
    compare("sqlite", ":memory:", 8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_long_random_sequences_agree_with_the_model(kind, url):
    """The same, for longer, on each kind of database."""
    compare(kind, url, 25)
