"""One version everywhere, one changelog, and nothing in the tree that belongs to one machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bty_core.proc import run

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted(ROOT.glob("packages/*/pyproject.toml"))
LONGEST = 450  # lines
# Whole texts that are not ours, and lists that grow by themselves.
LONG_BY_NATURE = {"LICENSE", "CHANGELOG.md"}

# Split, so that this file does not find itself.
OF_ONE_MACHINE = re.compile(
    r"/work"
    r"/|/root"
    r"/|/home"
    r"/[a-z]+/|\.pyenv/"
    r"shims"
    r"|pypi\.(?:org|python)"
    r"|python"
    r"hosted|deb\.debian"
    r"\.org|snapshot\.debian"
    r"|--extra-index"
    r"-url|--index"
    r"-url",
    re.IGNORECASE,
)


def project(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(path.read_text())["project"]
    return found


def tracked() -> list[Path]:
    """Return the files that git knows or would add."""
    listed = run(
        [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "-C",
            ROOT,
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        timeout=30,
    )
    files = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


VERSION = project(PROJECTS[0])["version"]


def test_all_packages_are_seen() -> None:
    names = [project(path)["name"] for path in PROJECTS]
    assert {"bty-core", "bty-agent"} <= {*names}
    assert names == [path.parent.name for path in PROJECTS]


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_one_version_in_project_module_and_pins(path: Path) -> None:
    found = project(path)
    module = path.parent / "src" / found["name"].replace("-", "_") / "__init__.py"
    assert found["version"] == VERSION
    assert f'__version__ = "{VERSION}"' in module.read_text()
    siblings = [need for need in found["dependencies"] if need.startswith("bty-")]
    assert [need.partition("==")[2] for need in siblings] == [VERSION] * len(siblings)
    assert bool(siblings) == (found["name"] != "bty-core")


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_each_package_has_a_floor_and_carries_the_licence(path: Path) -> None:
    assert project(path)["requires-python"] == ">=3.11"
    assert (path.parent / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_changelog_has_a_place_for_what_comes() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"


def test_nothing_in_the_tree_belongs_to_one_machine() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in tracked()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if OF_ONE_MACHINE.search(line)
    ]
    assert found == []


def test_constraints_are_names_and_versions_alone() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)
    ] == []


def test_a_file_fits_in_a_head() -> None:
    found = {
        str(file.relative_to(ROOT)): lines
        for file in tracked()
        if file.suffix in {".py", ".md", ".toml", ".html", ".css", ".js", ""}
        and file.name not in LONG_BY_NATURE
        and (lines := len(file.read_bytes().splitlines())) > LONGEST
    }
    assert found == {}
