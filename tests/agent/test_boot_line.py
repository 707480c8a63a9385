"""What the kernel command line says to the agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_agent.boot_line import BootLine, read_boot_line
from bty_core.errors import InvalidValue
from bty_core.values import MacAddress
from bty_core.wire.plan import Mode
from tests.web.site import MAC

LINE = (
    "initrd=initrd.zst quiet console=tty1 bty.mode=auto bty.server=http://10.0.0.1:8080"
    " bty.mac=52-54-00-12-34-56 bty.attempt=12 bty.token=12-abc\n"
)


def test_the_words_of_bty_are_read() -> None:
    assert BootLine.parse(LINE) == BootLine(
        mode=Mode.AUTO, server="http://10.0.0.1:8080", mac=MAC, attempt=12, token="12-abc"
    )


def test_a_line_without_them_says_nothing() -> None:
    assert BootLine.parse("quiet bty.mode= bty.unknown=1 bty") == BootLine()


def test_the_last_word_of_a_name_counts() -> None:
    assert BootLine.parse("bty.mode=interactive bty.mode=auto").mode is Mode.AUTO


def test_the_token_is_for_one_machine_only() -> None:
    line = BootLine.parse(LINE)
    assert line.token_for(MAC) == "12-abc"
    assert line.token_for(MacAddress.parse("52:54:00:00:00:01")) is None
    assert BootLine().token_for(MAC) is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("bty.mode=dance", "bty.mode=dance is not interactive or auto"),
        ("bty.attempt=-1", "bty.attempt=-1 is not a number"),
        ("bty.mac=12", "'12' is not a MAC address"),
    ],
)
def test_a_word_that_cannot_be_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "cmdline"
    file.write_text(line)
    with pytest.raises(InvalidValue) as told:
        read_boot_line(file)
    assert told.value.message == f"on the kernel command line: {sentence}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot be read"):
        read_boot_line(tmp_path / "none")
