"""The kernel as one plugin may see it: what its class declares, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from objectkernel.errors import ServiceUndeclared
from objectkernel.keys import Service
from objectkernel.plugin import caller, expect_key

if TYPE_CHECKING:
    from objectkernel.events import Subscription
    from objectkernel.kernel import ObjectKernel
    from objectkernel.keys import Key
    from objectkernel.records import Record
    from objectkernel.scopes import Scope

T = TypeVar("T")


class PluginContext:
    """What `self.context` and the hooks give a plugin."""

    __slots__ = ("_kernel", "_record")

    def __init__(self, kernel: ObjectKernel, record: Record) -> None:
        self._kernel = kernel
        self._record = record

    def __repr__(self) -> str:
        return f"<context of {self._record.name}>"

    @property
    def plugin(self) -> str:
        """The plugin's name."""
        return self._record.name

    def _declared(self, key: Key[Any], asked: str) -> None:
        declaration = self._record.declaration
        assert declaration is not None
        expect_key(key, Service, asked, caller(3))
        if str(key) not in declaration.services:
            names = sorted(declaration.services)
            attribute = str(key).rpartition(".")[2].replace("-", "_")
            raise ServiceUndeclared(
                f"{self._record.name} asks for {str(key)!r}, which it does not declare",
                where=declaration.where,
                why=f"it declares {', '.join(names) or 'nothing'}; without an edge it would be there by luck",
                fix=f"add the line `{attribute} = needs({attribute.upper()})` to the class",
                name=str(key),
            )

    def get(self, key: Service[T]) -> T:
        """The object of a declared service that is up."""
        self._declared(key, "get")
        return self._kernel.get(key)

    async def aget(self, key: Service[T]) -> T:
        """The object of a declared service; a lazy or transient one is made."""
        self._declared(key, "aget")
        return await self._kernel.aget(key)

    def scope(self, name: str, given: dict[Any, Any] | None = None) -> Scope:
        """Open a scope, as `ObjectKernel.scope` does."""
        from objectkernel.scopes import Scope

        return Scope(self._kernel._running("scope"), name, given or {}, lambda key: self._declared(key, "scope.aget"))

    def read_settings(self) -> Any:
        """The plugin's settings as file, environment and arguments give them now; those that it has stay.

        Raises:
            ConfigError: they are refused.
        """
        return self._kernel._read_settings(self._record)

    def more_time(self, seconds: float) -> None:
        """Let the provider that runs now take `seconds` from here on, should its time limit end sooner.

        For a service that waits for a person: also the provider of another plugin that has called it may wait then.
        Where nothing starts or stops there is no limit, and a shutdown's limit stays.
        """
        from objectkernel.host import current_host

        host = current_host.get()
        if host is not None:
            host.owner.engine.deadlines.extend(host, seconds)

    async def emit(self, event: object) -> None:
        """Await every handler of the event; the first error comes to the caller."""
        await self._kernel.emit(event)

    async def notify(self, event: object) -> tuple[Exception, ...]:
        """Await every handler of the event; their errors are logged and returned."""
        return await self._kernel.notify(event)

    def emit_sync(self, event: object) -> None:
        """Call every handler of the event, all of which must be plain functions."""
        self._kernel.emit_sync(event)

    @property
    def hook(self) -> Any:
        """pluggy's relay, see `ObjectKernel.hook`."""
        return self._kernel.hook

    def on(self, event: type[T], handler: Any) -> Subscription:
        """Subscribe until the plugin stops, or the subscription is ended."""
        subscription = self._kernel.on(event, handler)
        self._record.subscriptions.append(subscription)
        return subscription
