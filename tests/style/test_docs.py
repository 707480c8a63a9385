"""The manual says all that there is: options, exit codes, failures, events; and nobody has to scroll sideways."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from bty_agent.cli import build_parser, commands_of
from bty_agent.exits import Exit
from bty_core.errors import Refusals
from bty_core.events import Event
from docs.generate import PAGES, write_pages
from tests.style.test_errors import failures

ROOT = Path(__file__).resolve().parents[2]
PARSERS = {"bty": build_parser(), **commands_of(build_parser())}


def options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the spellings of each option."""
    return [name for action in parser._actions for name in action.option_strings]


def section(page: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one."""
    _, found, rest = page.partition(f"{heading}\n")
    assert found, f"there is no {heading!r}"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_is_in_the_page_of_commands(name: str) -> None:
    told = section(
        PAGES["commands.md"](), "### " + name if name != "bty" else "## Options of bty itself"
    )
    missing = [
        one for one in options(PARSERS[name]) if not re.search(rf"^`.*{one}\b", told, re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_says_what_it_does(name: str) -> None:
    assert [
        action.dest
        for action in PARSERS[name]._actions
        if not action.help and action.dest != "command"
    ] == []


@pytest.mark.parametrize("name", PARSERS)
def test_help_is_not_wider_than_80_columns(name: str) -> None:
    assert [line for line in PARSERS[name].format_help().splitlines() if len(line) > 80] == []


def test_every_exit_code_is_in_the_page_of_commands() -> None:
    told = section(PAGES["commands.md"](), "## Exit codes")
    assert [code for code in Exit if f"| {int(code)} | {code.meaning} |" not in told] == []


def test_every_failure_is_in_the_page_of_failures() -> None:
    told = PAGES["errors.md"]()
    kinds = [kind for kind in failures() if kind is not Refusals and kind.code != "error"]
    assert [kind.code for kind in kinds if f"| `{kind.code}` |" not in told] == []


def test_every_event_and_field_is_in_the_page_of_events() -> None:
    told = PAGES["events.md"]()
    kinds = [kind for kind in Event.__subclasses__() if kind.__module__.startswith("bty_core.")]
    assert len(kinds) >= 7
    for kind in kinds:
        told_of = section(told, f"## `{kind.event}`")
        assert [one.name for one in fields(kind) if f"| `{one.name}` |" not in told_of] == []


def test_pages_that_nobody_makes_any_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("old")
    write_pages(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {*PAGES}


def test_links_between_files_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    made = (ROOT / "docs/reference/generated", ROOT / "docs/_build")
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        if not any(folder in page.parents for folder in made)
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text())
        if not (page.parent / target).exists() and Path(target).name not in PAGES
    ]
    assert dead == []


def test_the_tests_that_the_manual_names_are_there() -> None:
    told = (ROOT / "docs/explanation/engine.md").read_text()
    named = re.findall(r"`([a-z/]*(?:test_[a-z_*]+\.py|tests/[a-z/]+/))`", told)
    assert len(named) > 10
    assert [name for name in named if not [*ROOT.glob(name), *ROOT.glob(f"tests/**/{name}")]] == []


def test_the_man_page_has_every_option_and_renders_without_a_warning(tmp_path: Path) -> None:
    sphinx: list[str | Path] = [sys.executable, "-m", "sphinx", "--quiet", "-W", "-b", "man"]
    folders: list[str | Path] = ["-d", tmp_path / "trees", ROOT / "docs", tmp_path / "man"]
    env = {**os.environ, "PYTHONWARNINGS": "default"}
    subprocess.run([*sphinx, *folders], check=True, env=env)
    man: list[str | Path] = ["man", "--warnings", "-l", tmp_path / "man/bty.1"]
    env = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"}
    ran = subprocess.run(man, check=True, capture_output=True, text=True, env=env)
    assert ran.stderr == ""
    page = re.sub(r".\x08|\x1b\[[0-9;]*m", "", ran.stdout)
    wanted = {name for parser in PARSERS.values() for name in options(parser)}
    assert [name for name in sorted(wanted) if not re.search(rf"(?m)^ +.*{name}\b", page)] == []
    assert [line for line in page.splitlines() if len(line) > 80] == []
    assert "SELECTORS\n" in page
    assert "EXIT CODES\n" in page
