"""The registry behind the service `package`: checks what is asked and what is published, and passes it on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, overload

from anyio import to_thread

from objectkernel_package_service.calling import caller_of
from objectkernel_package_service.contracts import (
    LATEST,
    HistoryPage,
    Owner,
    Package,
    PackageInvalid,
    PackageRecord,
    PackageService,
    Page,
    Policy,
    Problem,
    Visibility,
)
from objectkernel_package_service.curating import message_problems, missing
from objectkernel_package_service.json_value import look_over
from objectkernel_package_service.naming import LONGEST_ID, check_request
from objectkernel_package_service.object_mapping import ReadSchema
from objectkernel_package_service.package import LARGE, Limits, check
from objectkernel_package_service.publishing import Wishes
from objectkernel_package_service.ranges import tag_problems, wanted
from objectkernel_package_service.storage import PackageStore

LARGEST_PAGE: Final = 500
MOST_WORDS: Final = 8
NEWEST: Final = 10**18


class PackageRegistry:
    """Checks what is asked and what is published; `PackageStore` keeps it."""

    def __init__(self, store: PackageStore, limits: Limits, read_schema: ReadSchema | None = None) -> None:
        self._store = store
        self._limits = limits
        self._read_schema = read_schema

    @property
    def max_json_bytes(self) -> int:
        return self._limits.text

    async def publish(
        self,
        package: Package,
        *,
        owner: Owner | None = None,
        tag: str | None = None,
        visibility: Visibility | None = None,
        policy: Policy | None = None,
    ) -> PackageRecord:
        caller = caller_of(owner)
        _refuse_any("nothing was published", [*_tag(tag), *_settings(visibility, policy)])
        look = None if isinstance(package, bytes | str) else look_over(package, LARGE)
        if (len(package) if look is None else look.weight) > LARGE:
            checked = await to_thread.run_sync(check, package, self._limits, self._read_schema, look)
        else:
            checked = check(package, self._limits, self._read_schema, look)
        wishes = Wishes(tag=tag, visibility=visibility, policy=policy)
        return await self._store.publisher.publish(checked, caller, wishes)

    # --- reading ----------------------------------------------------------------------------------------

    async def get(self, id: str, version: str = LATEST, *, owner: Owner | None = None) -> PackageRecord | None:
        account = caller_of(owner).account
        check_request(id)
        asked = wanted(version)
        match asked.kind:
            case "latest":
                return await self._store.reader.latest(id, account)
            case "exact":
                return await self._store.reader.exact(id, asked.text, account)
            case "tag":
                return await self._store.reader.tagged(id, asked.text, account)
            case "range":
                return await self._store.reader.matching(id, asked.text, account)

    async def list(
        self,
        limit: int = 50,
        after: str | None = None,
        *,
        all_versions: bool = False,
        search: str | None = None,
        owner: Owner | None = None,
    ) -> Page:
        account = caller_of(owner).account
        limit, before = _window(limit, after)
        if search is not None:
            words = _words(search)
            return await self._store.reader.search(words, limit, before, account, all_versions=all_versions)
        pages = self._store.reader.everything if all_versions else self._store.reader.newest
        return await pages(limit, before, account)

    async def versions(self, id: str, limit: int = 50, after: str | None = None, *, owner: Owner | None = None) -> Page:
        account = caller_of(owner).account
        check_request(id)
        return await self._store.reader.versions(id, *_window(limit, after), account)

    async def history(
        self, id: str, limit: int = 50, after: str | None = None, *, owner: Owner | None = None
    ) -> HistoryPage:
        account = caller_of(owner).account
        check_request(id)
        return await self._store.reader.history(id, *_window(limit, after), account)

    async def tags(self, id: str, *, owner: Owner | None = None) -> dict[str, str]:
        account = caller_of(owner).account
        check_request(id)
        head = await self._store.reader.head(id, account)
        if head is None or head["newest"] is None:
            raise missing(id, None)
        return dict(head["tags"])

    # --- changing ---------------------------------------------------------------------------------------

    async def tag(self, id: str, tag: str, version: str, *, owner: Owner | None = None) -> None:
        caller = caller_of(owner)
        check_request(id, version)
        _refuse_any("nothing was tagged", tag_problems(tag, "tag"))
        await self._store.curator.tag(id, tag, version, caller)

    async def untag(self, id: str, tag: str, *, owner: Owner | None = None) -> bool:
        caller = caller_of(owner)
        check_request(id)
        _refuse_any("nothing was untagged", tag_problems(tag, "tag"))
        return await self._store.curator.untag(id, tag, caller)

    async def deprecate(self, id: str, version: str | None, message: str | None, *, owner: Owner | None = None) -> None:
        caller = caller_of(owner)
        check_request(id, *([] if version is None else [version]))
        _refuse_any("nothing was deprecated", message_problems(message, "message"))
        await self._store.curator.deprecate(id, version, message, caller)

    async def yank(self, id: str, version: str, yanked: bool = True, *, owner: Owner | None = None) -> None:
        caller = caller_of(owner)
        check_request(id, version)
        _refuse_any("nothing was yanked", _flag("yanked", yanked))
        await self._store.curator.yank(id, version, yanked, caller)

    async def configure(
        self,
        id: str,
        *,
        visibility: Visibility | None = None,
        policy: Policy | None = None,
        owner: Owner | None = None,
    ) -> None:
        caller = caller_of(owner)
        check_request(id)
        _refuse_any("nothing was changed", _settings(visibility, policy))
        await self._store.curator.configure(id, visibility, policy, caller)

    @overload
    async def delete(self, id: str, version: str, *, force: bool = False, owner: Owner | None = None) -> bool: ...
    @overload
    async def delete(
        self, id: str, *, all_versions: Literal[True], force: bool = False, owner: Owner | None = None
    ) -> bool: ...
    async def delete(
        self,
        id: str,
        version: str | None = None,
        *,
        all_versions: bool = False,
        force: bool = False,
        owner: Owner | None = None,
    ) -> bool:
        caller = caller_of(owner)
        check_request(id, *([] if version is None else [version]))
        _refuse_any("nothing was deleted", [*_flag("all_versions", all_versions), *_flag("force", force)])
        if all_versions is (version is not None):
            raise PackageInvalid(
                f"what of {id} to delete is not clear",
                [Problem("version", "either one version or all_versions=True is wanted")],
                fix=f'write delete("{id}", "1.0.0"), or delete("{id}", all_versions=True)',
            )
        if version is None:
            return await self._store.remover.remove_all(id, caller, force=force)
        return await self._store.remover.remove(id, version, caller, force=force)


def _refuse_any(what: str, problems: Iterable[Problem]) -> None:
    if found := list(problems):
        raise PackageInvalid(what, found, fix="correct what is named above")


def _tag(tag: Any) -> Iterable[Problem]:
    return () if tag is None else tag_problems(tag, "tag")


def _flag(name: str, value: Any) -> Iterable[Problem]:
    if value is not True and value is not False:
        yield Problem(name, "true or false is wanted")


def _settings(visibility: Any, policy: Any) -> Iterable[Problem]:
    for name, value, known in (("visibility", visibility, get_args(Visibility)), ("policy", policy, get_args(Policy))):
        if value is not None and value not in known:
            yield Problem(name, f"{' or '.join(known)} is wanted")


def _words(search: Any) -> list[str]:
    """The words that are searched for, as they stand in `HEAD`."""
    words = search.casefold().split() if isinstance(search, str) else []
    if not 0 < len(words) <= MOST_WORDS or len(search) > LONGEST_ID or "\0" in search:
        wants = f"1 to {MOST_WORDS} words of at most {LONGEST_ID} characters together are wanted"
        _refuse_any("nothing can be found by that", [Problem("search", wants)])
    return words


def _window(limit: Any, after: Any) -> tuple[int, int]:
    """The limit, and the sequence that the page starts below."""
    found = []
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LARGEST_PAGE:
        found.append(Problem("limit", f"{limit!r} is no whole number from 1 to {LARGEST_PAGE}"))
    if after is not None and not (isinstance(after, str) and after.isascii() and after.isdigit() and len(after) < 19):
        found.append(Problem("after", "is no cursor of this list"))
    if found:
        raise PackageInvalid(
            "no such page", found, fix="take `after` from the page before, or leave it out for the first page"
        )
    return limit, NEWEST if after is None else int(after)


if TYPE_CHECKING:
    _is_a_package_service: type[PackageService] = PackageRegistry
