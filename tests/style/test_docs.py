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

import bty_agent.cli
import bty_agent.exits
import bty_agent.stick.main
import bty_agent.unattended.main
import bty_agent.wizard.cli
import bty_media.cli
import bty_media.exits
import bty_web.appliance.cli
import bty_web.cli
import bty_web.exits
from bty_core.errors import Refusals
from bty_core.events import Event
from bty_core.program.parser import commands_of
from bty_web.api.document import document
from bty_web.settings import DECLARED
from docs.generate import PAGES, write_pages
from tests.style.test_errors import failures

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "bty": (bty_agent, "commands.md"),
    "bty-media": (bty_media, "bty-media.md"),
    "bty-web": (bty_web, "bty-web.md"),
}
ON_BOOT, TUI, STICK = "bty-flash-on-boot", "bty-tui", "bty-images-partition"
APPLIANCE = "bty-appliance"
PAGE_OF = {name: page for name, (_, page) in PROGRAMS.items()} | {
    name: f"{name}.md" for name in (ON_BOOT, TUI, STICK, APPLIANCE)
}
# (program, command or nothing) -> its parser
PARSERS: dict[tuple[str, str], argparse.ArgumentParser] = {
    (ON_BOOT, ""): bty_agent.unattended.main.build_parser(),
    (STICK, ""): bty_agent.stick.main.build_parser(),
    (TUI, ""): bty_agent.wizard.cli.build_parser(),
    (APPLIANCE, ""): bty_web.appliance.cli.build_parser(),
}
PARSERS |= {(APPLIANCE, name): one for name, one in commands_of(PARSERS[APPLIANCE, ""]).items()}
for program, (package, _) in PROGRAMS.items():
    parser = package.cli.build_parser()
    PARSERS |= {(program, ""): parser}
    PARSERS |= {(program, name): one for name, one in commands_of(parser).items()}


def options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the spellings of each option."""
    return [name for action in parser._actions for name in action.option_strings]


def section(page: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one."""
    _, found, rest = page.partition(f"{heading}\n")
    assert found, f"there is no {heading!r}"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(("program", "name"), PARSERS)
def test_every_option_is_in_the_page_of_commands(program: str, name: str) -> None:
    page = PAGES[PAGE_OF[program]]()
    told = section(page, f"### {name}" if name else f"## Options of {program} itself")
    missing = [
        one
        for one in options(PARSERS[program, name])
        if not re.search(rf"^`.*{one}\b", told, re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize("which", PARSERS, ids=" ".join)
def test_every_option_says_what_it_does(which: tuple[str, str]) -> None:
    assert [
        action.dest
        for action in PARSERS[which]._actions
        if not action.help and action.dest != "command"
    ] == []


@pytest.mark.parametrize("which", PARSERS, ids=" ".join)
def test_help_is_not_wider_than_80_columns(which: tuple[str, str]) -> None:
    assert [line for line in PARSERS[which].format_help().splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("program", PAGE_OF)
def test_every_exit_code_is_in_the_page_of_commands(program: str) -> None:
    told = section(PAGES[PAGE_OF[program]](), "## Exit codes")
    package, _ = PROGRAMS.get(program, PROGRAMS["bty-web" if program == APPLIANCE else "bty"])
    meanings = package.exits.MEANINGS.items()
    assert [code for code, says in meanings if f"| {int(code)} | {says} |" not in told] == []


def test_every_setting_of_the_server_is_in_its_page() -> None:
    told = section(PAGES["bty-web.md"](), "## Settings")
    assert [name for name in DECLARED if f"`BTY_{name.upper()}`, `{name}`\n: " not in told] == []


def test_every_operation_of_the_api_is_in_its_page() -> None:
    page = PAGES["api.md"]()
    found = document()
    operations = [
        (one["tags"][0], f"| `{method.upper()}` | `{path}` | ", one)
        for path, methods in found["paths"].items()
        for method, one in methods.items()
    ]
    assert len(operations) > 30
    for tag, row, one in operations:
        scope = f"`{one['security'][0]['token'][0]}`" if one["security"] else "none"
        assert f"{row}{scope} | {one['summary']} |" in section(page, f"## {tag}")


def test_every_failure_is_in_the_page_of_failures() -> None:
    kinds = [kind for kind in failures() if kind is not Refusals and kind.code != "error"]
    told = PAGES["errors.md"]()  # after all modules were loaded
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


def test_the_man_pages_have_every_option_and_render_without_a_warning(tmp_path: Path) -> None:
    sphinx: list[str | Path] = [sys.executable, "-m", "sphinx", "--quiet", "-W", "-b", "man"]
    folders: list[str | Path] = ["-d", tmp_path / "trees", ROOT / "docs", tmp_path / "man"]
    env = {**os.environ, "PYTHONWARNINGS": "default"}
    subprocess.run([*sphinx, *folders], check=True, env=env)
    env = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"}
    for program in PAGE_OF:
        man: list[str | Path] = ["man", "--warnings", "-l", tmp_path / f"man/{program}.1"]
        ran = subprocess.run(man, check=True, capture_output=True, text=True, env=env)
        assert ran.stderr == ""
        page = re.sub(r".\x08|\x1b\[[0-9;]*m", "", ran.stdout)
        wanted = {
            name for (of, _), parser in PARSERS.items() if of == program for name in options(parser)
        }
        assert [one for one in sorted(wanted) if not re.search(rf"(?m)^ +.*{one}\b", page)] == []
        assert [line for line in page.splitlines() if len(line) > 80] == []
        own = {
            "bty-media": "ENVIRONMENT\n",
            "bty": "SELECTORS\n",
            "bty-web": "SETTINGS\n",
            APPLIANCE: "EXAMPLES\n",
            ON_BOOT: "FILES\n",
            STICK: "EXAMPLES\n",
            TUI: "KEYS\n",
        }
        assert own[program] in page
        assert "EXIT CODES\n" in page
