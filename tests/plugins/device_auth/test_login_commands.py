"""``objectkernel login``, ``logout`` and ``whoami``."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio
import attrs
import click
import pytest
from click.testing import CliRunner, Result
from objectkernel import ObjectKernel
from objectkernel.errors import ConfigInvalid
from objectkernel.secret import Secret
from objectkernel_cli.root import root
from objectkernel_device_auth import login_commands
from objectkernel_device_auth.contracts import AuthorizationFailed, StoredToken
from objectkernel_device_auth.token_file import FileTokenStore, folder_of
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.plugins.device_auth.authorization_server import AuthorizationServer, authorization_server
from tests.plugins.device_auth.client_side import kernel, token

pytestmark = pytest.mark.usefixtures("home", "quick")


@attrs.define
class Context:
    """What the `objectkernel` program gives to commands, of a host that would start in NET mode."""

    environ: Mapping[str, str]
    json: bool = False

    def kernel(self) -> ObjectKernel:
        return kernel({**self.environ, "MOSTA_DATA": "net"}, SystemDialectPlugin)


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    """An authorization server that lets everybody in."""
    with authorization_server() as server:
        yield server


def call(command: click.Command, *arguments: str, **environ: str) -> Result:
    """Run a command as the program does; its errors come to the caller."""
    return CliRunner().invoke(command, arguments, obj=Context(environ), catch_exceptions=False)


def tokens() -> tuple[StoredToken, ...]:
    """What is kept."""
    return anyio.run(FileTokenStore(folder_of("objectkernel")).tokens)


def keep(*several: StoredToken) -> None:
    """Keep tokens."""
    for one in several:
        anyio.run(FileTokenStore(folder_of("objectkernel")).save, one)


def login(server: AuthorizationServer, *arguments: str, **environ: str) -> Result:
    return call(login_commands.login, "--wait", *arguments, MOSTA_NET_URL=server.url, **environ)


# --- login --------------------------------------------------------------------------------------------


def test_login_shows_a_code_and_keeps_the_key(server: AuthorizationServer, home: Path) -> None:
    """The host is not started for it; the key is printed nowhere, and only its owner can read it."""
    result = login(server)
    (kept,) = tokens()
    assert result.exit_code == 0
    assert "BCDF-GHJK" in result.stderr
    assert f"{server.url} lets objectkernel-cli in; the key ends" in result.stdout
    assert str(home / "objectkernel" / "auth.json") in result.stdout
    assert stat.S_IMODE((home / "objectkernel" / "auth.json").stat().st_mode) == 0o600
    assert kept.access_token.reveal() in server.keys
    for secret in {*server.keys, *server.refreshes, *server.codes}:
        assert secret not in result.output


def test_login_again_asks_nobody(server: AuthorizationServer) -> None:
    """A good key is there already."""
    login(server)
    result = login(server)
    assert "already lets objectkernel-cli in" in result.stdout
    assert server.flows == 1


def test_login_with_force_asks_again(server: AuthorizationServer) -> None:
    """Somebody else may approve it this time: what could be renewed is not."""
    login(server)
    (first,) = tokens()
    login(server, "--force")
    (second,) = tokens()
    assert first.access_token != second.access_token
    assert (server.flows, [form["grant_type"] for form in server.sent("/token")].count("refresh_token")) == (2, 0)


def test_login_renews_an_ended_key(server: AuthorizationServer) -> None:
    """Whoever has approved it once is not asked again."""
    server.refreshes.add("kept-refresh")
    keep(token(server.url, ends=-5, refresh_token=Secret("kept-refresh")))
    assert login(server).exit_code == 0
    assert (server.flows, tokens()[0].access_token.reveal() in server.keys) == (0, True)


def test_login_takes_its_options(server: AuthorizationServer) -> None:
    """Server, scopes and client of the command line win; the opt-out is for hosts."""
    arguments = ("--host-url", f"{server.url}/", "--scope", "data:write data:read", "--client-id", "mine", "--wait")
    environ = {"MOSTA_NET_URL": "https://other.invalid", "MOSTA_NO_AUTOREGISTER": "true"}
    result = call(login_commands.login, *arguments, **environ)
    assert result.exit_code == 0
    assert server.sent("/device_authorization") == [{"client_id": "mine", "scope": "data:read data:write"}]
    (kept,) = tokens()
    assert (kept.issuer, kept.client_id, kept.scope) == (server.url, "mine", "data:read data:write")


def test_login_as_json(server: AuthorizationServer, home: Path) -> None:
    """For programs, on standard output alone; without the key."""
    server.granted = "data:read"
    document = json.loads(login(server, "--json").stdout)
    ends = document.pop("expires_at")
    assert document == {
        "issuer": server.url,
        "client_id": "objectkernel-cli",
        "scope": "data:read",
        "renewable": True,
        "file": str(home / "objectkernel" / "auth.json"),
        "new": True,
    }
    assert ends.endswith("+00:00")


def test_login_says_when_a_key_ends(server: AuthorizationServer) -> None:
    """Or that it does not."""
    server.lifetime = None
    assert "; the key does not end by itself\n" in login(server).stdout
    server.lifetime, server.renewable = 600, False
    assert login(server, "--force").stdout.splitlines()[0].endswith("+00:00")


def test_login_says_when_a_variable_wins(server: AuthorizationServer) -> None:
    """Hosts use ``MOSTA_NET_API_KEY`` as long as it is set; its value is not shown."""
    result = login(server, MOSTA_NET_API_KEY="hunter2")
    assert "MOSTA_NET_API_KEY is set" in result.stderr
    assert "hunter2" not in result.output


def test_item_38_login_without_a_terminal_fails_fast(server: AuthorizationServer) -> None:
    """Unless it is told to wait, and it says how."""
    with pytest.raises(AuthorizationFailed, match="login --wait") as caught:
        call(login_commands.login, MOSTA_NET_URL=server.url)
    assert caught.value.reason == "no-terminal"
    assert server.flows == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "`--host-url https://…`"), (["--host-url", "ftp://x"], "--host-url"), (["--host-url", "http://x"], "https")],
)
def test_login_says_what_is_wrong_with_the_address(arguments: list[str], words: str) -> None:
    """Or that there is none."""
    with pytest.raises(AuthorizationFailed) as caught:
        call(login_commands.login, "--wait", *arguments)
    assert caught.value.reason == "address"
    assert words in str(caught.value)


def test_a_key_that_login_cannot_keep_is_an_error(server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """To keep it is what the command is for."""
    from objectkernel_device_auth.client_errors import not_kept

    async def full(self: FileTokenStore, kept: StoredToken) -> None:
        raise not_kept("the folder", "No space left on device", received=True)

    monkeypatch.setattr(FileTokenStore, "save", full)
    with pytest.raises(AuthorizationFailed, match="No space left"):
        login(server)


def test_settings_that_are_refused_are_told() -> None:
    """Those of this plugin; others may be wrong."""
    with pytest.raises(ConfigInvalid):
        call(login_commands.whoami, MOSTA_HOST="../x")
    assert call(login_commands.whoami, DB_DIALECT="nonsense").exit_code == 1


# --- logout -------------------------------------------------------------------------------------------


def test_logout_ends_the_keys_at_their_servers(server: AuthorizationServer, home: Path) -> None:
    """Key and refresh token, as the client that they were given to; then they are forgotten."""
    login(server, "--client-id", "mine")
    result = call(login_commands.logout)
    assert result.stdout == f"the key of {server.url} is forgotten, and ended there\n"
    assert (server.keys, server.refreshes, tokens()) == (set(), set(), ())
    assert {form["client_id"] for form in server.sent("/revoke")} == {"mine"}
    assert not (home / "objectkernel" / "auth.json").exists()


def test_logout_forgets_where_the_server_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says which key may still be taken; every other server is asked nevertheless."""
    monkeypatch.setattr(login_commands, "PATIENCE", 5)
    with authorization_server() as gone:
        pass
    with authorization_server() as silent, authorization_server() as there:
        silent.metadata = {"revocation_endpoint": None}
        keep(token(gone.url), token(silent.url), token(there.url))
        result = call(login_commands.logout, "--json")
    assert tokens() == ()
    assert [row["revoked"] for row in json.loads(result.stdout)] == [False, False, True]
    assert f"{gone.url} may still take its key" in result.stderr
    assert f"{silent.url} may still take its key, for it does not end keys on demand" in result.stderr
    assert result.exit_code == 0


def test_logout_leaves_a_server_that_hangs(server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is forgotten here in any case."""
    from tests.plugins.device_auth.authorization_server import hang

    monkeypatch.setattr(login_commands, "PATIENCE", 0.3)
    keep(token(server.url))
    server.trouble("/revoke", hang(3))
    result = call(login_commands.logout)
    assert "it did not answer in time" in result.stderr
    assert tokens() == ()


def test_logout_without_a_key_is_no_error(home: Path) -> None:
    """Nothing is asked for or made."""
    assert call(login_commands.logout).stdout == "no key was kept\n"
    assert not home.exists()


# --- whoami -------------------------------------------------------------------------------------------


def test_whoami_without_a_key_says_what_to_run() -> None:
    """The exit code tells it to scripts."""
    result = call(login_commands.whoami)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "objectkernel login" in result.stderr
    assert json.loads(call(login_commands.whoami, "--json").stdout) == []


def test_whoami_shows_what_the_server_says(server: AuthorizationServer) -> None:
    """For whom the key is and what it may (RFC 7662), and not the key."""
    login(server)
    result = call(login_commands.whoami)
    assert result.exit_code == 0
    assert f"{server.url}, as ada, client objectkernel-cli, scopes data:read, ends " in result.stdout
    assert tokens()[0].access_token.reveal() not in result.output


def test_whoami_tells_a_key_that_the_server_takes_no_more(server: AuthorizationServer) -> None:
    """Whatever the file says of its end."""
    login(server)
    server.keys.clear()
    (row,) = json.loads(call(login_commands.whoami, "--json").stdout)
    assert (row["good"], row["from"]) == (False, "file")
    (row,) = json.loads(call(login_commands.whoami, "--json", "--offline").stdout)
    assert row["good"] is True


def test_whoami_tells_trouble_and_shows_what_is_kept() -> None:
    """A server that is down hides nothing that is known here; an ended key that can be renewed is told as such."""
    with authorization_server() as gone:
        pass
    ended = token(gone.url, client_id="other", ends=-5, refresh_token=Secret("r"))
    keep(token(gone.url), ended)
    lines = call(login_commands.whoami).stdout.splitlines()
    assert "client objectkernel-cli" in lines[0] and "gave no proper answer" in lines[0]
    assert "is renewed when it is needed" in lines[1]


def test_whoami_shows_the_variables_key_first(server: AuthorizationServer) -> None:
    """It is the one that hosts use."""
    server.keys.add("of-the-variable")
    login(server)
    rows = json.loads(
        call(login_commands.whoami, "--json", MOSTA_NET_URL=server.url, MOSTA_NET_API_KEY="of-the-variable").stdout
    )
    assert [(row["from"], row["good"], row["username"]) for row in rows] == [
        ("MOSTA_NET_API_KEY", True, "ada"),
        ("file", True, "ada"),
    ]
    alone = call(login_commands.whoami, "--offline", MOSTA_NET_API_KEY="of-the-variable")
    assert "no server is set" not in alone.stdout.splitlines()[1]
    assert alone.stdout.startswith("no server is set, from MOSTA_NET_API_KEY")


def test_what_a_server_says_cannot_write_on_the_terminal(server: AuthorizationServer) -> None:
    """Control characters of names are shown as question marks."""
    login(server)
    server.trouble("/introspect", (200, {"active": True, "username": "ada\x1b[2J"}))
    assert "as ada?[2J" in call(login_commands.whoami).stdout


# --- the program --------------------------------------------------------------------------------------


def test_the_program_has_the_commands(
    server: AuthorizationServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are found by their plugin's entry point; an error ends it with its code and its words."""
    monkeypatch.chdir(tmp_path)
    for name in ("MOSTA_NET_URL", "MOSTA_AUTH_FLOW_URL", "MOSTA_NET_API_KEY", "MOSTA_ENV"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(root, arguments, prog_name="objectkernel", catch_exceptions=False)

    assert run("whoami").exit_code == 1
    assert run("login", "--host-url", server.url, "--wait").exit_code == 0
    assert run("--json", "whoami", "--offline").exit_code == 0
    failed = run("login", "--host-url", "ftp://x")
    assert (failed.exit_code, "[O106]" in failed.stderr) == (1, True)
    assert run("logout").exit_code == 0
