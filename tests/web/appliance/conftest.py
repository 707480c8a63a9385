"""Folders of an appliance, and programs that stand where the system's would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bty_web.settings import Settings

CHECK = """#!/bin/sh
# PAM writes the password to standard input, closed by a zero byte.
[ "$PAM_USER" = bty ] && [ "$(tr -d '\\0')" = "right horse" ]
"""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Where root's helpers answer."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def appliance(sqlite_settings: Settings, run_folder: Path) -> Settings:
    """The settings of an appliance."""
    return replace(sqlite_settings, appliance_dir=run_folder)


@pytest.fixture
def pam_folder(tmp_path: Path) -> Path:
    """Services of PAM in which bty has the password 'right horse', and nobody else has any."""
    folder = tmp_path / "pam.d"
    folder.mkdir()
    check = tmp_path / "check"
    check.write_text(CHECK)
    check.chmod(0o755)
    (folder / "bty-web").write_text(
        f"auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {check}\n"
        "auth requisite pam_deny.so\n"
        "auth required pam_permit.so\n"
        "account required pam_permit.so\n"
    )
    return folder
