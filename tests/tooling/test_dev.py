"""The door: what `dev` understands, and how it gets what a fresh machine lacks."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

FAKE_APT = """#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >> "$APT_LOG"
case "$*" in *update*) touch "$APT_LOG.updated"; exit 0;; esac
test -e "$APT_LOG.updated"
"""


@pytest.fixture(scope="module")
def dev() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("bty_dev", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader("bty_dev", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no devc beside dev
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake apt-get whose install works after an update; return its log."""
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "apt-get"
    fake.write_text(FAKE_APT)
    fake.chmod(0o755)
    log = tmp_path / "apt.log"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("APT_LOG", str(log))
    return log


@pytest.mark.parametrize(
    ("words", "nox"),
    [
        (["demo"], ["-s", "demo", "--"]),
        (["demo", "--once"], ["-s", "demo", "--", "--once"]),
        (["test"], ["-t", "test", "--"]),
        (["test", "unit"], ["-t", "unit", "--"]),
        (["test", "vm"], ["-t", "vm", "--"]),
        (["test", "system", "--", "-k", "gpt"], ["-t", "system", "--", "-k", "gpt"]),
    ],
    ids=" ".join,
)
def test_the_words_mean_sessions(dev: ModuleType, words: list[str], nox: list[str]) -> None:
    assert dev.sessions(words) == nox


@pytest.mark.parametrize("words", [[], ["tests"], ["test", "disks"], ["demo", "--twice"]], ids=str)
def test_other_words_show_the_help_and_end_with_2(words: list[str]) -> None:
    said = subprocess.run([ROOT / "dev", *words], capture_output=True, text=True, timeout=30)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("Two commands that do everything")


def test_only_what_is_missing_is_asked_for(dev: ModuleType) -> None:
    programs = {"sh": "dash", "no-such-program-1": "pkg-b", "no-such-program-2": "pkg-a"}
    assert dev.missing_packages(sys.executable, programs) == ["pkg-a", "pkg-b"]


def test_a_failed_install_is_tried_again_after_an_update(
    dev: ModuleType, apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "become_root", list)
    monkeypatch.setattr(dev, "has_lists", lambda: True)
    dev.install(["zstd", "fdisk"])
    options = "noninteractive -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120"
    assert apt.read_text().splitlines() == [
        f"{options} install -y --no-install-recommends zstd fdisk",
        f"{options} update",
        f"{options} install -y --no-install-recommends zstd fdisk",
    ]


def test_empty_lists_are_fetched_first(
    dev: ModuleType, apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "become_root", list)
    monkeypatch.setattr(dev, "has_lists", lambda: False)
    dev.install(["zstd"])
    assert [line.split()[6] for line in apt.read_text().splitlines()] == ["update", "install"]


def test_without_root_it_says_what_to_type_and_goes_on(
    dev: ModuleType,
    apt: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dev, "become_root", lambda: None)
    dev.install(["zstd", "fdisk"])
    assert not apt.exists()
    assert capsys.readouterr().out == (
        "dev: missing: zstd fdisk (no root and no sudo); "
        "install them as root: apt-get install zstd fdisk\n"
    )
