"""The root helper: values in, a configuration out, and nothing at all for anything else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bty_web.dhcp import dnsmasq
from bty_web.dhcp.values import ProxyDhcp

pytestmark = pytest.mark.dnsmasq


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Where bty-web writes, and where dnsmasq reads."""
    for name in ("web", "root"):
        (tmp_path / name).mkdir(mode=0o755)
    return tmp_path / "web" / "bty-pxe.json", tmp_path / "root" / "bty-pxe.conf"


def apply(*words: Path) -> tuple[int, str]:
    argv = [sys.executable, "-m", "bty_web.dhcp.apply", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_values_become_the_configuration(values: ProxyDhcp, places: tuple[Path, Path]) -> None:
    dnsmasq.write(places[0].parent, values)
    # What bty-web wrote as text has no say.
    (places[0].parent / "bty-pxe.conf").write_text("dhcp-script=/tmp/evil\n")
    assert apply(*places) == (
        0,
        f"bty: proxy-DHCP on eth0 for 10.77.0.0/24: {places[1]} is written\n",
    )
    assert places[1].read_text() == dnsmasq.render(values)
    assert [path.name for path in places[1].parent.iterdir()] == ["bty-pxe.conf"]


def test_no_values_switch_it_off(places: tuple[Path, Path]) -> None:
    places[1].write_text("old")
    assert apply(*places) == (0, f"bty: proxy-DHCP is off: {places[1]} is removed\n")
    assert apply(*places) == (0, "bty: proxy-DHCP is off\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"interface": "eth0\ndhcp-script=/tmp/evil"},
            "'eth0?dhcp-script=/tmp/evil' is not the name of a network interface",
        ),
        ({"tftp_root": "/root"}, "/root cannot be the TFTP folder: everybody on the network"),
        ({"url": None}, "'url' is missing"),
        ({"schema_version": "9"}, "'schema_version' must be '1'"),
    ],
)
def test_a_bad_value_changes_nothing(
    values: ProxyDhcp, places: tuple[Path, Path], change: dict[str, object], said: str
) -> None:
    places[0].write_text(json.dumps({**values.wire(), **change}))
    places[1].write_text("old")
    code, text = apply(*places)
    assert (code, text.startswith(f"bty: {said}")) == (1, True), text
    assert places[1].read_text() == "old"


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 50_000, "x" * 70_000, '{"a": 1}'])
def test_rubbish_changes_nothing(places: tuple[Path, Path], text: str) -> None:
    places[0].write_text(text)
    code, said = apply(*places)
    assert code == 1
    assert said.startswith("bty: ")
    assert "Traceback" not in said
    assert not places[1].exists()


def test_a_link_or_a_pipe_is_not_followed(values: ProxyDhcp, places: tuple[Path, Path]) -> None:
    real = places[0].with_name("real.json")
    real.write_text(json.dumps(values.wire()))
    places[0].symlink_to(real)
    assert apply(*places)[0] == 1
    places[0].unlink()
    os.mkfifo(places[0])
    assert apply(*places)[1].startswith(f"bty: {places[0]} is not a plain file\n")
    assert not places[1].exists()


def test_a_folder_that_others_may_write_to_is_refused(
    values: ProxyDhcp, places: tuple[Path, Path]
) -> None:
    places[0].write_text(json.dumps(values.wire()))
    places[1].parent.chmod(0o777)
    assert apply(*places) == (
        1,
        f"bty: {places[1].parent} belongs to somebody else, or others may write to it\n"
        f"     hint: make it root's own: chown root: {places[1].parent}; chmod 755"
        f" {places[1].parent}\n",
    )


def test_a_wrong_call_says_how() -> None:
    assert apply() == (2, "usage: python -m bty_web.dhcp.apply VALUES.json TARGET.conf\n")
