"""Where a host's key comes from: the variable, what is kept, a renewal, or a device flow; in this order.

Many who need a key at once get one: in a process they share one attempt, processes hold the lock of the store, and
who has it looks first at what is kept now.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs

from objectkernel_device_auth.client_addresses import Address, address
from objectkernel_device_auth.client_config import LONGEST_LIFE, ApiKeySourceConfig, folder_name
from objectkernel_device_auth.client_errors import (
    elsewhere,
    no_address,
    no_terminal,
    not_kept,
    opted_out,
)
from objectkernel_device_auth.contracts import (
    AuthorizationFailed,
    CodeIssued,
    DeviceKeySource,
    ExclusiveStore,
    OnCodeIssued,
    StoredToken,
    TokenStore,
)
from objectkernel_device_auth.single_flight import SingleFlight
from objectkernel_device_auth.terminal import Terminal
from objectkernel_device_auth.token_file import FileTokenStore, folder_of

if TYPE_CHECKING:
    from objectkernel_device_auth.device_client import DeviceClient, Received

log = logging.getLogger(__name__)

SKEW: Final = timedelta(seconds=60)
"""A key that ends within this time counts as ended."""
SHORT_WAIT: Final = 2.0
"""Seconds to wait for another process before somebody is told so."""
RENEWED_BY: Final = 60.0
"""Seconds that another process may take, where nobody could approve a code of this one."""


@attrs.frozen(kw_only=True)
class Wish:
    """What key is wanted, and how.

    Attributes:
        address: of the authorization server; None: nobody says it.
        forced: the key at hand was refused.
        anew: ask a person, also where a key could be renewed.
        opted_out: no device flow.
        must_keep: a key that cannot be kept is an error; else it serves until the process ends.
    """

    store: TokenStore
    address: Address | None
    client_id: str
    scope: str
    on_code_issued: OnCodeIssued | None = None
    forced: bool = False
    anew: bool = False
    opted_out: bool = False
    wait: bool = False
    must_keep: bool = False

    @property
    def issuer(self) -> str:
        return "" if self.address is None else self.address.issuer

    @property
    def key(self) -> Hashable:
        """What makes two wishes one."""
        store = self.store.path if isinstance(self.store, FileTokenStore) else id(self.store)
        return store, self.issuer, self.client_id, self.scope


def _nothing(seconds: float) -> None:
    return None


class KeySource:
    """`DeviceKeySource` as its settings say.

    Args:
        more_time: told the seconds that somebody may take to approve, whenever that begins.
    """

    def __init__(
        self,
        config: ApiKeySourceConfig,
        *,
        terminal: Terminal | None = None,
        more_time: Callable[[float], None] = _nothing,
    ) -> None:
        self._config = config
        self._terminal = terminal or Terminal()
        self._more_time = more_time
        self._flights: SingleFlight[StoredToken] = SingleFlight()
        self._stores: dict[str, FileTokenStore] = {}
        self._given: dict[Hashable, StoredToken] = {}  # of files alone: other stores come and go
        self._unkept: dict[Hashable, StoredToken] = {}

    # --- the service ----------------------------------------------------------------------------------

    async def api_key(self, *, refresh: bool = False) -> str:
        """See `ApiKeySource`."""
        return await self.ensure_api_key(force_refresh=refresh)

    async def ensure_api_key(
        self,
        *,
        store: TokenStore | None = None,
        client_id: str | None = None,
        scope: str | None = None,
        host: str | None = None,
        on_code_issued: OnCodeIssued | None = None,
        force_refresh: bool = False,
    ) -> str:
        """See `DeviceKeySource`."""
        variable = self._config.net_api_key
        if not force_refresh and variable is not None and variable.reveal():
            return variable.reveal()
        wish = self.wish(store=store, client_id=client_id, scope=scope, host=host)
        wish = attrs.evolve(wish, on_code_issued=on_code_issued, forced=force_refresh)
        return (await self.token(wish)).access_token.reveal()

    async def clear_cached_api_key(self, host: str | None = None) -> None:
        """See `DeviceKeySource`."""
        store = self.store(host)
        for kept in (self._given, self._unkept):
            for key in [key for key in kept if isinstance(key, tuple) and key[0] == store.path]:
                del kept[key]
        await store.clear()

    # --- what the commands share with it --------------------------------------------------------------

    def store(self, host: str | None = None) -> FileTokenStore:
        """The file of a host.

        Raises:
            AuthorizationFailed: the name is not that of a folder.
        """
        name = host or self._config.host
        if name not in self._stores:
            try:
                folder = folder_of(folder_name(name))
            except (ValueError, RuntimeError) as error:
                raise not_kept("the configuration folder", str(error), received=False) from None
            self._stores[name] = FileTokenStore(folder)
        return self._stores[name]

    def address(self) -> Address | None:
        """Of the authorization server; None where nobody says it.

        Raises:
            AuthorizationFailed: what is set is no address, or not one that a key may be sent to.
        """
        config = self._config
        for variable, url in (("MOSTA_AUTH_FLOW_URL", config.auth_flow_url), ("MOSTA_NET_URL", config.net_url)):
            if url is not None and url.reveal().strip():
                return address(url.reveal(), variable, insecure=config.insecure_http)
        return None

    def wish(
        self,
        *,
        store: TokenStore | None = None,
        client_id: str | None = None,
        scope: str | None = None,
        host: str | None = None,
    ) -> Wish:
        """What is wanted, where nothing else is said.

        Raises:
            AuthorizationFailed: see `store` and `address`.
        """
        return Wish(
            store=self.store(host) if store is None else store,
            address=self.address(),
            client_id=client_id or self._config.client_id,
            scope=" ".join(sorted(set((self._config.scope if scope is None else scope).split()))),
            opted_out=self._config.no_autoregister,
            wait=self._config.wait,
        )

    async def token(self, wish: Wish) -> StoredToken:
        """What is wanted, kept or new.

        Raises:
            AuthorizationFailed: there is none, with what to do.
        """
        kept = await self.kept(wish)
        if kept is not None and not wish.forced and is_good(kept):
            return self._gives(wish, kept)
        refused = self._given.get(wish.key, kept) if wish.forced else None
        flight = wish.key, wish.anew, self._can_show(wish)  # who can be asked does not fail with who cannot
        token = await self._flights.run(flight, lambda: self._obtained(wish, refused), strong=wish.forced)
        return self._gives(wish, token)

    async def kept(self, wish: Wish) -> StoredToken | None:
        """What there is, good or not."""
        unkept = self._unkept.get(wish.key)
        if unkept is not None:
            return unkept
        kept = await wish.store.load(wish.issuer, wish.client_id, wish.scope)
        if kept is not None and wish.issuer and kept.issuer.rstrip("/") != wish.issuer:
            return None  # a store that looks at nothing: the key of one server is not shown to another
        return kept

    # --- getting one ----------------------------------------------------------------------------------

    async def _obtained(self, wish: Wish, refused: StoredToken | None) -> StoredToken:
        kept = await self.kept(wish)
        if not wish.forced and wish.opted_out and (kept is None or kept.refresh_token is None):
            raise opted_out()
        if wish.address is None:
            raise no_address()
        async with self._alone(wish, wish.address):
            kept = await self.kept(wish)
            if kept is not None and is_good(kept) and not (wish.forced and _same(kept, refused)):
                return kept  # somebody else has got it in the meantime
            from objectkernel_device_auth.client_session import ClientSession  # httpx is imported when it is needed

            async with ClientSession(wish.address, wish.client_id, self._config.timeout) as session:
                renewed = None if wish.anew or kept is None else await session.renewed(kept)
                if renewed is None:
                    self._may_ask(wish, wish.address)
                    renewed = await self._asked(wish, await session.client())
                token = _stored(wish, renewed)
                with anyio.CancelScope(shield=True):
                    await self._keep(wish, token)
                return token

    def _may_ask(self, wish: Wish, place: Address) -> None:
        if wish.opted_out and not wish.forced:
            raise opted_out()
        if not self._can_show(wish):
            raise no_terminal(place.place)

    def _can_show(self, wish: Wish) -> bool:
        return wish.on_code_issued is not None or wish.wait or self._terminal.is_interactive

    async def _asked(self, wish: Wish, client: DeviceClient) -> Received:
        """A device flow, from the code to the key."""
        grant = await client.begin(wish.scope)
        self._more_time(grant.code.expires_in + RENEWED_BY)
        if wish.on_code_issued is not None:
            await _shown(wish.on_code_issued, grant.code)
            return await client.wait(grant, _nothing)
        self._terminal.show(grant.code)
        try:
            return await client.wait(grant, self._terminal.tick)
        finally:
            self._terminal.done()

    # --- keeping it -----------------------------------------------------------------------------------

    async def _keep(self, wish: Wish, token: StoredToken) -> None:
        try:
            await wish.store.save(token)
        except Exception as error:
            if wish.must_keep:
                raise
            told = error.text() if isinstance(error, AuthorizationFailed) else type(error).__name__
            log.error("a new key serves until this process ends, and is lost then: it cannot be kept\n%s", told)
            if isinstance(wish.store, FileTokenStore):
                self._unkept[wish.key] = token
        else:
            self._unkept.pop(wish.key, None)

    def _gives(self, wish: Wish, token: StoredToken) -> StoredToken:
        if isinstance(wish.store, FileTokenStore):
            self._given[wish.key] = token
        return token

    @asynccontextmanager
    async def _alone(self, wish: Wish, place: Address) -> AsyncIterator[None]:
        """The store's lock, where it has one. Somebody is told what is waited for, unless that is short."""
        store = wish.store
        if not isinstance(store, ExclusiveStore):
            yield
            return
        longest = LONGEST_LIFE + RENEWED_BY if self._can_show(wish) else RENEWED_BY
        async with AsyncExitStack() as stack:

            async def enter() -> None:
                await stack.enter_async_context(store.exclusive())

            if not await _within(SHORT_WAIT, enter):
                self._more_time(longest + RENEWED_BY)
                self._terminal.note(f"Another process is getting a key of {place.place}; this one waits for it.")
                if not await _within(longest, enter):
                    raise elsewhere(place.place, SHORT_WAIT + longest)
            yield


def is_good(token: StoredToken) -> bool:
    """Whether a key does not end at once."""
    return token.expires_at is None or token.expires_at - SKEW > datetime.now(UTC)


def _same(one: StoredToken, other: StoredToken | None) -> bool:
    return other is not None and one.access_token == other.access_token


def _stored(wish: Wish, received: Received) -> StoredToken:
    return StoredToken(
        access_token=received.access_token,
        issuer=wish.issuer,
        client_id=wish.client_id,
        scope=wish.scope,
        granted_scope=received.scope,
        expires_at=received.expires_at,
        refresh_token=received.refresh_token,
    )


async def _shown(show: OnCodeIssued, code: CodeIssued) -> None:
    shown = show(code)
    if shown is not None:
        await shown


async def _within(seconds: float, job: Callable[[], Awaitable[Any]]) -> bool:
    """Whether the job is done within the time; else it is cancelled."""
    with anyio.move_on_after(seconds) as scope:
        await job()
        return True
    assert scope.cancelled_caught
    return False


if TYPE_CHECKING:
    _is_a_source: type[DeviceKeySource] = KeySource
