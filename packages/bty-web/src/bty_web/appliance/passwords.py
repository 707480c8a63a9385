"""``bty-appliance passwords``: notice whether the passwords that everybody knows are still in place.

Pages, consoles and SSH logins read what this writes: one look, one truth.
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import json
from collections.abc import Mapping
from ctypes import c_char_p
from pathlib import Path

from bty_core.errors import InvalidValue, ProgramMissing
from bty_web.dhcp.durable import write_durably
from bty_web.services.appliance import PASSWORDS, USER, Passwords

SHADOW = Path("/etc/shadow")
ISSUE = Path("/run/issue.d/bty.issue")
MOTD = Path("/run/motd.d/bty")
# User and password of a fresh appliance. The first is for the pages, the second for console and SSH.
DEFAULTS = {USER: "bty", "odus": "odus"}
_CHANGE = {USER: "sudo passwd bty", "odus": "passwd"}


def look(shadow: Path = SHADOW) -> Passwords:
    """Return whose password is still the default one; raise `InvalidValue` where that cannot be read."""
    hashes = _hashes(shadow)
    crypt = _crypt()
    return Passwords(
        default=tuple(
            name
            for name, password in DEFAULTS.items()
            if _is(crypt, password, hashes.get(name, ""))
        ),
        # Of the salted hash, so that nothing can be tried on it.
        stamp=hashlib.sha256(hashes.get(USER, "").encode()).hexdigest()[:32],
    )


def tell(found: Passwords, folder: Path, *, issue: Path = ISSUE, motd: Path = MOTD) -> None:
    """Write what was found for the pages, and what consoles and logins show. Raises `WriteFailed`."""
    write_durably(folder / PASSWORDS, json.dumps(found.wire()).encode())
    write_durably(issue, greeting(found).encode())
    write_durably(motd, nag(found).encode())


def greeting(found: Passwords) -> str:
    """Return what stands above the login of a console; agetty puts the address in and keeps it right."""
    lines = ["bty server", "", r"  Pages, in a browser:  https://\4/", ""]
    if found.default:
        lines += ["  The default passwords are in place, which everybody knows:", ""]
        what = {USER: "on the pages", "odus": "here and over SSH"}
        lines += [
            f"    {name} with the password {DEFAULTS[name]}, {what[name]}; to change it: {_CHANGE[name]}"
            for name in found.default
        ]
        lines.append("")
    return "\n".join(lines) + "\n"


def nag(found: Passwords) -> str:
    """Return what a login over SSH or on a console is greeted with: nothing where all is well."""
    if not found.default:
        return ""
    lines = [
        f"*** The password of {name} is still '{DEFAULTS[name]}'. Change it: {_CHANGE[name]}"
        for name in found.default
    ]
    return "\n" + "\n".join(lines) + "\n\n"


def _hashes(shadow: Path) -> Mapping[str, str]:
    try:
        lines = shadow.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InvalidValue(
            f"{shadow} cannot be read: {(error.strerror or str(error)).lower()}",
            hint="run this as root",
        ) from None
    fields = [line.split(":") for line in lines]
    return {one[0]: one[1] for one in fields if len(one) > 1}


def _crypt() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libcrypt.so.1")
    except OSError:
        raise ProgramMissing("libcrypt is not installed", hint="apt install libcrypt1") from None
    library.crypt.restype = c_char_p
    library.crypt.argtypes = (c_char_p, c_char_p)
    return library


def _is(crypt: ctypes.CDLL, password: str, hashed: str) -> bool:
    """Whether `password` has this hash; a locked or empty one has none."""
    if not hashed.startswith("$"):
        return False
    made = crypt.crypt(password.encode(), hashed.encode())
    return made is not None and hmac.compare_digest(made, hashed.encode())
