"""People, their passwords, and the links that let them in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from objectkernel_accounts.errors import (
    AccountMissing,
    AccountStateInvalid,
    AdministratorExists,
    LinkInvalid,
    LoginInvalid,
    LoginTaken,
    PasswordRefused,
    RoleRefused,
    SignInFailed,
    UserMissing,
)
from objectkernel_accounts.storage import ACCOUNT, LINK, MEMBERSHIP, USER
from objectkernel_contracts import OPERATE, Principal

from tests.contrib.accounts.hosts import OTHER, PASSWORD, House, by

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_the_first_administrator(house: House) -> None:
    """The first one runs the host and owns a first account."""
    made = await house.admin(name="Ada", account="Analytical Engines")
    assert made.user.operator and made.role == "owner"
    assert (made.user.name, made.account.name) == ("Ada", "Analytical Engines")
    assert house.audit.actions == ["account.create", "user.create"]


async def test_there_is_one_first(house: House) -> None:
    """A second first one is refused, unless another one is asked for; nothing is left of it."""
    await house.admin()
    with pytest.raises(AdministratorExists):
        await house.admin("eve@example.org")
    with pytest.raises(LoginTaken):
        await house.admin("ADA@example.org", another=True)
    assert await house.dialect.count(ACCOUNT) == await house.dialect.count(USER) == 1
    assert (await house.admin("grace@example.org", another=True)).user.operator


@pytest.mark.parametrize(
    "login, password, error",
    [
        pytest.param("a b", PASSWORD, LoginInvalid, id="login"),
        pytest.param("ada", "short", PasswordRefused, id="password"),
    ],
)
async def test_an_administrator_who_is_refused(house: House, login: str, password: str, error: type[Exception]) -> None:
    """Administrators obey the rules for logins and passwords."""
    with pytest.raises(error):
        await house.parts.people.create_admin(login, password)
    assert await house.dialect.count(USER) == 0


async def test_looking_up(house: House) -> None:
    """People are found by id and by login, in capitals or not; whoever is not there is None."""
    ada = await house.admin()
    people = house.parts.people
    assert await people.find("ADA@Example.org") == await people.get(ada.user.id) == ada.user
    for login in ("nobody", "a\x00b", ""):
        assert await people.find(login) is None
    assert await people.get("missing") is None
    await house.member(ada.account.id, "bob")
    first, after = await people.list(1)
    second, end = await people.list(1, after)
    assert [one.login for one in (*first, *second)] == ["ada@example.org", "bob"]
    assert end is None


async def test_an_invitation(house: House) -> None:
    """Whoever is new joins with a password of their own, with the role that the invitation says, once."""
    ada = await house.admin()
    link = await house.parts.people.invite("Bob@example.org", ada.account.id, "viewer", by=by(ada))
    token = link.token.reveal()
    assert (link.login, link.role, link.is_known) == ("Bob@example.org", "viewer", False)
    assert link.account == ada.account
    bob = await house.parts.people.accept(token, OTHER, name="Bob")
    assert (bob.role, bob.user.name, bob.user.operator) == ("viewer", "Bob", False)
    await house.sign_in("bob@example.org", OTHER)
    with pytest.raises(LinkInvalid):
        await house.parts.people.accept(token, OTHER)
    with pytest.raises(LinkInvalid):
        await house.parts.people.invitation(token)


async def test_an_invitation_of_somebody_known(house: House) -> None:
    """Whoever has the login already joins as the one they are, keeping a higher role."""
    ada = await house.admin()
    other = await house.parts.accounts.create("Other")
    link = await house.parts.people.invite("ADA@example.org", other.id, "admin")
    assert link.is_known
    with pytest.raises(LoginTaken):
        await house.parts.people.accept(link.token.reveal(), OTHER)
    joined = await house.parts.people.join(link.token.reveal(), ada.user.id)
    assert joined.role == "admin"
    again = await house.parts.people.invite("ada@example.org", other.id, "viewer")
    assert (await house.parts.people.join(again.token.reveal(), ada.user.id)).role == "admin"


async def test_an_invitation_of_somebody_else(house: House) -> None:
    """Nobody joins with an invitation for another login, which can still be used."""
    ada = await house.admin()
    link = await house.parts.people.invite("bob", ada.account.id)
    with pytest.raises(LinkInvalid):
        await house.parts.people.join(link.token.reveal(), ada.user.id)
    await house.parts.people.accept(link.token.reveal(), PASSWORD)


async def test_an_operator_by_invitation(house: House) -> None:
    """Those who run the host let others run it; an owner of an account does not."""
    ada = await house.admin()
    owner = await house.member(ada.account.id, "owner", "owner")
    with pytest.raises(RoleRefused):
        await house.parts.people.invite("bob", ada.account.id, operator=True, by=by(owner))
    link = await house.parts.people.invite("bob", ada.account.id, operator=True, by=by(ada, OPERATE))
    assert (await house.parts.people.accept(link.token.reveal(), PASSWORD)).user.operator


@pytest.mark.parametrize(
    "role, given, may",
    [
        ("owner", "owner", True),
        ("admin", "owner", False),
        ("admin", "admin", True),
        ("member", "viewer", False),
        ("viewer", "viewer", False),
    ],
)
async def test_who_invites_whom(house: House, role: str, given: str, may: bool) -> None:
    """Admins and owners invite, up to their own role."""
    ada = await house.admin()
    inviting = await house.member(ada.account.id, "inviting", role)
    if may:
        await house.parts.people.invite("new", ada.account.id, given, by=by(inviting))  # type: ignore[arg-type]
    else:
        with pytest.raises(RoleRefused):
            await house.parts.people.invite("new", ada.account.id, given, by=by(inviting))  # type: ignore[arg-type]


@pytest.mark.parametrize("fall", ["removed", "demoted", "disabled"])
async def test_no_way_back(house: House, fall: str) -> None:
    """What somebody has made who may no longer invite is void: nobody leaves a door open. What others made stays."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob", "owner")
    people, accounts = house.parts.people, house.parts.accounts
    way_back = await people.invite("bob-again", ada.account.id, "owner", by=by(bob))
    other = await people.invite("carol", ada.account.id, by=by(ada))
    if fall == "removed":
        await accounts.remove_member(ada.account.id, bob.user.id)
    elif fall == "demoted":
        await accounts.set_role(ada.account.id, bob.user.id, "member")
    else:
        await people.disable(bob.user.id)
    with pytest.raises(LinkInvalid):
        await people.accept(way_back.token.reveal(), PASSWORD)
    await people.accept(other.token.reveal(), PASSWORD)


async def test_a_higher_role_voids_nothing(house: House) -> None:
    """Whoever may more may what they might before."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob", "admin")
    link = await house.parts.people.invite("carol", ada.account.id, by=by(bob))
    await house.parts.accounts.set_role(ada.account.id, bob.user.id, "owner")
    await house.parts.people.accept(link.token.reveal(), PASSWORD)


async def test_a_role_that_is_taken_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the account while their role is taken invites as what they are afterwards."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob", "owner")
    directory = house.parts.people._directory  # type: ignore[attr-defined]
    hold = directory.hold

    async def late(account_id: str) -> object:
        monkeypatch.undo()
        await house.dialect.update_many(MEMBERSHIP, {"user": bob.user.id}, {"role": "admin"})
        return await hold(account_id)

    monkeypatch.setattr(directory, "hold", late)
    with pytest.raises(RoleRefused):
        await house.parts.people.invite("eve", ada.account.id, "owner", by=by(bob))
    assert await house.dialect.count(LINK) == 0


async def test_nobody_invites_into_another_account(house: House) -> None:
    """An account of others is as one that is not there; so is one that is not active."""
    ada = await house.admin()
    other = await house.parts.accounts.create("Other")
    for account_id in (other.id, "missing"):
        with pytest.raises(AccountMissing):
            await house.parts.people.invite("new", account_id, by=by(ada))
    await house.parts.accounts.disable(other.id)
    with pytest.raises(AccountStateInvalid):
        await house.parts.people.invite("new", other.id)


async def test_a_key_invites_as_an_admin(house: House) -> None:
    """A program with a key of the account makes no owners."""
    ada = await house.admin()
    key = Principal(account_id=ada.account.id, key_id="k1")
    await house.parts.people.invite("new", ada.account.id, "admin", by=key)
    with pytest.raises(RoleRefused):
        await house.parts.people.invite("new", ada.account.id, "owner", by=key)


async def test_links_end(house: House) -> None:
    """An invitation lasts a week, a link for a new password a day."""
    ada = await house.admin()
    with time_machine.travel(NOW, tick=False) as clock:
        invitation = await house.parts.people.invite("bob", ada.account.id)
        reset = await house.parts.people.reset_link(ada.user.id)
        assert (invitation.expires_at, reset.expires_at) == (NOW + timedelta(days=7), NOW + timedelta(days=1))
        clock.move_to(NOW + timedelta(days=1))
        with pytest.raises(LinkInvalid):
            await house.parts.people.reset_password(reset.token.reveal(), OTHER)
        clock.move_to(NOW + timedelta(days=7))
        with pytest.raises(LinkInvalid):
            await house.parts.people.accept(invitation.token.reveal(), OTHER)


async def test_one_kind_of_link_is_not_the_other(house: House) -> None:
    """An invitation gives nobody a new password."""
    ada = await house.admin()
    invitation = (await house.parts.people.invite("bob", ada.account.id)).token.reveal()
    reset = (await house.parts.people.reset_link(ada.user.id)).token.reveal()
    for call in (house.parts.people.reset(invitation), house.parts.people.invitation(reset)):
        with pytest.raises(LinkInvalid):
            await call


async def test_a_new_password_by_link(house: House) -> None:
    """The link gives a new password once, ends every session, and makes those before it void."""
    ada = await house.admin()
    signed_in = await house.sign_in()
    first = await house.parts.people.reset_link(ada.user.id)
    link = await house.parts.people.reset_link(ada.user.id)
    with pytest.raises(LinkInvalid):
        await house.parts.people.reset(first.token.reveal())
    with pytest.raises(PasswordRefused):
        await house.parts.people.reset_password(link.token.reveal(), "short")
    await house.parts.people.reset_password(link.token.reveal(), OTHER)
    assert await house.session(signed_in) is None
    with pytest.raises(LinkInvalid):
        await house.parts.people.reset_password(link.token.reveal(), OTHER)
    with pytest.raises(SignInFailed):
        await house.sign_in()
    await house.sign_in(password=OTHER)


async def test_only_the_host_resets_and_disables(house: House) -> None:
    """An owner of one account does not touch people, who may be in others too."""
    ada = await house.admin()
    owner = await house.member(ada.account.id, "owner", "owner")
    people = house.parts.people
    for call in (
        people.reset_link(ada.user.id, by=by(owner)),
        people.disable(ada.user.id, by=by(owner)),
        people.enable(ada.user.id, by=by(owner)),
        people.rename(ada.user.id, "x", by=by(owner)),
    ):
        with pytest.raises(RoleRefused):
            await call


async def test_disabled_people(house: House) -> None:
    """Whoever is disabled is out at once, and neither a password nor a link lets them in until they are enabled."""
    ada = await house.admin()
    bob = await house.member(ada.account.id, "bob")
    signed_in = await house.sign_in("bob")
    link = await house.parts.people.reset_link(bob.user.id)
    assert await house.session(signed_in)
    assert (await house.parts.people.disable(bob.user.id)).state == "disabled"
    assert await house.session(signed_in) is None
    with pytest.raises(SignInFailed):
        await house.sign_in("bob")
    with pytest.raises(LinkInvalid):
        await house.parts.people.reset(link.token.reveal())
    await house.parts.people.disable(bob.user.id)
    assert (await house.parts.people.enable(bob.user.id)).state == "active"
    await house.sign_in("bob")
    assert [one for one in house.audit.actions if one in ("user.disable", "user.enable")] == [
        "user.disable",
        "user.enable",
    ]


async def test_the_last_one_who_runs_the_host(house: House) -> None:
    """Somebody always runs the host."""
    ada = await house.admin()
    with pytest.raises(RoleRefused):
        await house.parts.people.disable(ada.user.id)
    grace = await house.admin("grace", another=True)
    await house.parts.accounts.disable(grace.account.id)
    with pytest.raises(RoleRefused):  # grace cannot sign in
        await house.parts.people.disable(ada.user.id)
    assert (await house.parts.people.get(ada.user.id)).state == "active"  # type: ignore[union-attr]
    await house.parts.accounts.enable(grace.account.id)
    await house.parts.people.disable(ada.user.id)


async def test_a_name(house: House) -> None:
    """Somebody says what they are called; whoever is not there has no name."""
    ada = await house.admin()
    assert (await house.parts.people.rename(ada.user.id, " Ada  L. ", by=by(ada))).name == "Ada L."
    with pytest.raises(UserMissing):
        await house.parts.people.rename("missing", "x")


async def test_nothing_secret_is_kept(house: House) -> None:
    """Neither a password nor a token of a link is in the database, nor in the audit trail, nor in what is printed."""
    ada = await house.admin()
    links = [await house.parts.people.invite("bob", ada.account.id), await house.parts.people.reset_link(ada.user.id)]
    rows = [repr(await house.dialect.find(schema)) for schema in (ACCOUNT, USER, MEMBERSHIP, LINK)]
    seen = "\n".join([*rows, repr(house.audit.entries), repr(links)])
    for secret in (PASSWORD, *(link.token.reveal() for link in links)):
        assert secret not in seen
