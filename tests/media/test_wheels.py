"""Where the packages come from that go into an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_media.builder import wheels
from tests.system.lab.firmware import ROOT


def test_of_the_checkout_that_it_runs_from() -> None:
    assert wheels.checkout() == ROOT / "packages"


def test_of_the_checkout_that_one_stands_in_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "lib/python3.13/site-packages/bty_media/builder/wheels.py"
    monkeypatch.setattr(wheels, "__file__", str(installed))
    monkeypatch.chdir(ROOT)
    assert wheels.checkout() == ROOT / "packages"
    monkeypatch.chdir(tmp_path)
    assert wheels.checkout() is None
