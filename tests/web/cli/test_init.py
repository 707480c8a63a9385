"""`init`, `passwd`, `remove-user` and `token`: who gets in, and nothing that is said twice."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pexpect
import pytest

from bty_web import database
from bty_web.exits import Exit
from bty_web.models.words import Scope
from bty_web.services import users
from bty_web.services.clock import now
from bty_web.services.history import Actor
from bty_web.settings import Settings, load
from tests.web.cli.running import bty_web


def may_log_in(settings: Settings, name: str, password: str) -> bool:
    engine = database.make_engine(settings)
    try:
        with database.working(engine) as session:
            return users.check(session, name, password) is not None
    finally:
        engine.dispose()


def test_init_makes_everything_and_prints_a_password_once(state: Path) -> None:
    ran = bty_web("init")
    folders = ["images", "boot", "tftp", "dnsmasq"]
    assert ran.code == Exit.DONE
    assert ran.said == [
        f"bty-web: made {state}",
        *(f"bty-web: made {state / name}" for name in folders),
        f"bty-web: added the user bty; everything is in {state}",
        "bty-web: this is the password of bty; it is not shown again",
    ]
    assert may_log_in(load(), "bty", ran.out.rstrip("\n"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (state, state / "secret.key")}
    assert modes == {"state": 0o700, "secret.key": 0o600}


def test_init_again_changes_nothing_and_says_what_is_there(state: Path) -> None:
    password = bty_web("init").out.rstrip("\n")
    key = (state / "secret.key").read_bytes()
    ran = bty_web("init", "--password-stdin", stdin="another password\n")
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert ran.said == [
        f"bty-web: {state} is set up, and the user bty is there",
        "hint: bty-web passwd bty changes the password",
    ]
    assert may_log_in(load(), "bty", password)
    assert (state / "secret.key").read_bytes() == key


def test_init_takes_name_and_password(state: Path) -> None:
    ran = bty_web("init", "--user", "ada", "--password-stdin", stdin="correct horse\n")
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert may_log_in(load(), "ada", "correct horse")


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("", "there is no password on standard input"),
        ("short\n", "a password has at least 8 characters"),
    ],
)
def test_a_password_that_cannot_be_adds_nobody(state: Path, stdin: str, said: str) -> None:
    ran = bty_web("init", "--password-stdin", stdin=stdin)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert f"bty-web: {said}" in ran.said
    assert bty_web("passwd", "bty").said[0] == "bty-web: there is no user 'bty'"


def test_on_a_terminal_init_asks_twice(state: Path) -> None:
    with pexpect.spawn(sys.executable, ["-m", "bty_web", "init"], timeout=60) as terminal:
        terminal.expect_exact("password for bty: ")
        terminal.sendline("correct horse")
        terminal.expect_exact("the same again: ")
        terminal.sendline("correct horse")
        terminal.expect(pexpect.EOF)
        assert b"correct" not in terminal.before
    assert terminal.exitstatus == 0
    assert may_log_in(load(), "bty", "correct horse")


def test_two_passwords_that_differ_add_nobody(state: Path) -> None:
    with pexpect.spawn(sys.executable, ["-m", "bty_web", "init"], timeout=60) as terminal:
        terminal.expect_exact("password for bty: ")
        terminal.sendline("correct horse")
        terminal.expect_exact("the same again: ")
        terminal.sendline("correct house")
        terminal.expect_exact("bty-web: the two passwords differ")
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == Exit.USAGE


def test_passwd_changes_a_password(settings: Settings) -> None:
    bty_web("init", "--password-stdin", stdin="the first one\n")
    ran = bty_web("passwd", "bty", "--password-stdin", stdin="the second one\n")
    assert (ran.code, ran.out, ran.said) == (
        Exit.DONE,
        "",
        ["bty-web: changed the password of bty, who has to log in again everywhere"],
    )
    assert not may_log_in(settings, "bty", "the first one")
    assert may_log_in(settings, "bty", "the second one")


def test_passwd_without_a_terminal_says_what_to_do(settings: Settings) -> None:
    bty_web("init")
    assert bty_web("passwd", "bty").said == [
        "bty-web: there is no terminal to ask for the password on",
        "hint: give it on standard input, with --password-stdin",
    ]


def test_a_token_is_printed_once_and_works(settings: Settings) -> None:
    ran = bty_web("token", "ci", "--scope", "operate")
    assert (ran.code, ran.said) == (
        Exit.DONE,
        ["bty-web: made the token ci (operate); it is not shown again"],
    )
    engine = database.make_engine(settings)
    with database.working(engine) as session:
        assert users.token_of(session, ran.out.rstrip("\n")).scope is Scope.OPERATE
    engine.dispose()
    again = bty_web("token", "ci")
    assert (again.code, again.out, again.said) == (
        Exit.USAGE,
        "",
        ["bty-web: there is a token 'ci' already", "hint: remove it first"],
    )


@pytest.mark.parametrize(
    "words",
    [["passwd", "bty"], ["remove-user", "bty"], ["token", "ci"], ["backup", "file"]],
    ids=str,
)
def test_before_init_the_commands_say_so_and_make_nothing(state: Path, words: list[str]) -> None:
    ran = bty_web(*words)
    assert (ran.code, ran.out) == (Exit.UNREACHABLE, "")
    assert ran.said == [
        "bty-web: there is no database yet",
        "hint: make it first: bty-web init",
    ]
    assert not state.exists()


def with_ada(settings: Settings) -> None:
    bty_web("init")
    bty_web("init", "--user", "ada", "--password-stdin", stdin="correct horse\n")
    engine = database.make_engine(settings)
    with database.working(engine) as session:
        users.add_token(session, "hers", Scope.READ, by=Actor("ada"), now=now())
    engine.dispose()


def test_a_user_is_removed_after_a_question(settings: Settings) -> None:
    with_ada(settings)
    ask = "bty-web: remove the user ada and the API tokens hers? [yes/NO] "
    for answer, code in (("", Exit.REFUSED), ("y", Exit.REFUSED), ("yes", Exit.DONE)):
        assert may_log_in(settings, "ada", "correct horse")
        words = ["-m", "bty_web", "remove-user", "ada"]
        with pexpect.spawn(sys.executable, words, timeout=60) as terminal:
            terminal.expect_exact(ask)
            terminal.sendline(answer)
            terminal.expect(pexpect.EOF)
        assert terminal.exitstatus == code
    assert not may_log_in(settings, "ada", "correct horse")


def test_a_user_is_not_removed_without_a_word_and_the_last_one_never(settings: Settings) -> None:
    with_ada(settings)
    assert bty_web("remove-user", "ada").said == [
        "bty-web: there is no terminal to ask on",
        "hint: say --yes if you mean it",
    ]
    # The default user is called like the program: what the command line has made is not that user's.
    bty_web("token", "ci")
    ran = bty_web("remove-user", "bty", "--yes")
    assert (ran.code, ran.said) == (
        Exit.DONE,
        ["bty-web: removed the user bty, whose sessions have ended"],
    )
    last = bty_web("remove-user", "ada", "--yes")
    assert (last.code, last.said) == (
        Exit.REFUSED,
        [
            "bty-web: ada is the only user: nobody could log in",
            "hint: add another one first",
        ],
    )
    assert bty_web("remove-user", "bob", "--yes").said[0] == "bty-web: there is no user 'bob'"
    assert may_log_in(settings, "ada", "correct horse")
