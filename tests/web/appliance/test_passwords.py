"""Whether a password that everybody knows is in place is noticed, and told where people look."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from bty_core.errors import InvalidValue
from bty_web.appliance import passwords
from bty_web.services import appliance


def hashed(password: str, setting: str) -> str:
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    made: bytes = crypt(password.encode(), setting.encode())
    return made.decode()


YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"
SHA512 = "$6$btydefault$"


def shadow(tmp_path: Path, bty: str, odus: str) -> Path:
    path = tmp_path / "shadow"
    path.write_text(f"root:!*:20000::::::\nbty:{bty}:20000::::::\nodus:{odus}:20000:0:99999:7:::\n")
    return path


@pytest.mark.parametrize("setting", [YESCRYPT, SHA512])
def test_the_default_passwords_are_recognised(tmp_path: Path, setting: str) -> None:
    path = shadow(tmp_path, hashed("bty", setting), hashed("odus", setting))
    assert passwords.look(path).default == ("bty", "odus")
    path = shadow(tmp_path, hashed("another one", setting), hashed("odus", setting))
    assert passwords.look(path).default == ("odus",)


@pytest.mark.parametrize("none", ["", "!", "*", "!*", "!" + "$6$x$y", "$nonsense", "$6$"])
def test_a_user_without_a_password_has_no_default_one(tmp_path: Path, none: str) -> None:
    assert passwords.look(shadow(tmp_path, none, none)).default == ()


def test_the_stamp_follows_the_password_of_bty_alone(tmp_path: Path) -> None:
    mine, other = hashed("bty", SHA512), hashed("another", SHA512)
    before = passwords.look(shadow(tmp_path, mine, mine)).stamp
    assert passwords.look(shadow(tmp_path, mine, other)).stamp == before
    assert passwords.look(shadow(tmp_path, other, mine)).stamp != before
    assert mine not in before


def test_pages_consoles_and_logins_are_told(tmp_path: Path, run_folder: Path) -> None:
    issue, motd = tmp_path / "issue", tmp_path / "motd"
    found = passwords.look(shadow(tmp_path, hashed("bty", SHA512), hashed("odus", SHA512)))
    passwords.tell(found, run_folder, issue=issue, motd=motd)
    assert appliance.passwords(run_folder) == found
    assert issue.read_text() == (
        "bty server\n\n  Pages, in a browser:  https://\\4/\n\n"
        "  The default passwords are in place, which everybody knows:\n\n"
        "    bty with the password bty, on the pages; to change it: sudo passwd bty\n"
        "    odus with the password odus, here and over SSH; to change it: passwd\n\n"
    )
    assert motd.read_text() == (
        "\n*** The password of bty is still 'bty'. Change it: sudo passwd bty\n"
        "*** The password of odus is still 'odus'. Change it: passwd\n\n"
    )
    found = passwords.look(shadow(tmp_path, "!", "!"))
    passwords.tell(found, run_folder, issue=issue, motd=motd)
    assert appliance.passwords(run_folder) == found
    assert issue.read_text() == "bty server\n\n  Pages, in a browser:  https://\\4/\n\n"
    assert motd.read_text() == ""


def test_what_cannot_be_read_is_not_known(tmp_path: Path, run_folder: Path) -> None:
    with pytest.raises(InvalidValue, match="none cannot be read: no such file"):
        passwords.look(tmp_path / "none")
    assert appliance.passwords(run_folder) is None
    for text in ("", "[]", '{"default": "bty", "stamp": "x"}', '{"default": []}'):
        (run_folder / appliance.PASSWORDS).write_text(text)
        assert appliance.passwords(run_folder) is None
