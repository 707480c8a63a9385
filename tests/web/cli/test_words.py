"""What `bty-web` understands: help in 80 columns, and one sentence for each mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bty_core.program.parser import commands_of
from bty_web import __version__
from bty_web.cli import SCOPES, build_parser
from bty_web.commands import command
from bty_web.exits import Exit
from bty_web.models.words import Scope
from tests.web.cli.running import bty_web

COMMANDS = list(commands_of(build_parser()))


def test_the_commands_of_the_contract_are_there() -> None:
    assert [
        *("serve", "worker", "init", "passwd", "remove-user", "token", "check", "import", "probe"),
        *("backup", "restore"),
    ] == COMMANDS
    assert all(map(command, COMMANDS))


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_fits_and_lists_exit_codes(words: list[str]) -> None:
    ran = bty_web(*words, "--help")
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\nexit codes:\n    0  done\n" in ran.out


def test_without_words_the_help_and_2() -> None:
    ran = bty_web()
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.said[0] == "usage: bty-web [-h] [--version] COMMAND ..."


def test_the_version_comes_without_loading_a_database_or_a_web_framework() -> None:
    code = (
        "import sys, runpy; sys.argv = ['bty-web', '--version']\n"
        "try: runpy.run_module('bty_web', run_name='__main__')\n"
        "except SystemExit: print(sorted({'flask', 'sqlalchemy', 'gunicorn'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == (f"bty-web {__version__}\n[]\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serv"], "there is no command 'serv': choose one of " + ", ".join(COMMANDS)),
        (["serve", "--bnd", "x"], "unknown option '--bnd': is --bind meant?"),
        (["serve", "now"], "unknown argument 'now'"),
        (["passwd"], "NAME is missing"),
        (["token", "ci", "--scope", "all"], "--scope cannot be 'all': choose one of read, operate, admin"),
        (["serve", "--bind", "8080"], "--bind: '8080' is not HOST:PORT, for example 0.0.0.0:8080"),
        (["serve", "--workers", "0"], "--workers: '0' is not a whole number from 1 to 64"),
        (["serve", "--workers"], "--workers needs a value"),
        (["backup"], "FILE is missing"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_mistake_is_one_sentence(words: list[str], said: str) -> None:
    ran = bty_web(*words)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.said[0] == f"bty-web: {said}"


def test_the_scopes_are_those_of_the_tokens() -> None:
    assert list(SCOPES) == [str(scope) for scope in Scope]
