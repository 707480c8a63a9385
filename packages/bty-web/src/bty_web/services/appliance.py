"""What bty-web and the root helpers of the server appliance say to each other: small files, and one socket.

bty-web writes wishes into its state folder; the helpers answer in a folder of root's that everybody may read.
Nothing that runs as root writes where bty-web may.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from bty_core.errors import BtyError, Refused
from bty_core.wire.fields import Fields, InvalidField
from bty_web.dhcp.durable import write_durably

SCHEMA_VERSION = "1"
# The one user whose password is the system's: of Debian, and of the pages.
USER = "bty"

# What the helpers write into `Settings.appliance_dir`.
PASSWORDS = "passwords.json"
PROXY_DHCP = "proxy-dhcp.json"
PROBE = "probe.json"
LOGIN = "login.sock"

# What bty-web writes below `Settings.state_dir`, beside the values of proxy-DHCP.
PROBE_REQUEST = ("probe", "request.json")

MOST_BYTES = 64 * 1024  # of a wish, or of a password with its wrapping
_LOOK = 0.2  # seconds between two looks at what a helper has written
# Seconds and microseconds for an answer: the helper may have to be started, and is slow on purpose.
_PATIENCE = struct.pack("ll", 15, 0)


class HelperSilent(BtyError):
    """A root helper of the appliance does not answer."""

    code = "helper-silent"


class ProbeRefused(BtyError):
    """The root helper of the appliance could not ask a network."""

    code = "probe-refused"


class PasswordIsTheSystems(Refused):
    """This user's password is the one that passwd changes."""

    code = "password-is-the-systems"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passwords:
    """Which users of the system still have the password that everybody knows.

    `stamp` is another one when the password of `USER` is another one, and says nothing of it.
    """

    default: tuple[str, ...]
    stamp: str

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "default": list(self.default),
            "stamp": self.stamp,
        }

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read what `wire` wrote; raise `InvalidField`."""
        given = Fields(message)
        return cls(default=given.texts("default", most=16), stamp=given.text("stamp"))


class Done(StrEnum):
    """How a wish of the Settings page for proxy-DHCP ended."""

    ON = "on"
    OFF = "off"
    REFUSED = "refused"  # its values cannot be; what was active stays
    FAILED = "failed"  # dnsmasq does not run


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What the helper of proxy-DHCP did last. `of` is the digest of the values, empty where there are none."""

    done: Done
    of: str
    message: str
    hint: str | None = None

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "done": self.done.value,
            "of": self.of,
            "message": self.message,
            "hint": self.hint,
        }

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read what `wire` wrote; raise `InvalidField`."""
        given = Fields(message)
        return cls(
            done=given.choice("done", Done),
            of=given.text("of"),
            message=given.text("message", most=4000),
            hint=given.optional(lambda name: given.text(name, most=4000), "hint"),
        )


def passwords(folder: Path) -> Passwords | None:
    """Return what the helper says of the passwords; None where it has not said anything that can be read."""
    message = told(folder / PASSWORDS)
    try:
        return None if message is None else Passwords.from_wire(message)
    except InvalidField:
        return None


def applied(folder: Path) -> Applied | None:
    """Return what the helper of proxy-DHCP did last; None where that is not known."""
    message = told(folder / PROXY_DHCP)
    try:
        return None if message is None else Applied.from_wire(message)
    except InvalidField:
        return None


def settled(folder: Path, values: Path, patience: float = 0.0) -> Applied | None:
    """Return what the helper of proxy-DHCP made of what `values` holds; None where it has not done it yet.

    It is given `patience` seconds. Blocks.
    """
    until = time.monotonic() + patience
    while True:
        found = applied(folder)
        if found is not None and found.of == _digest(values):
            return found
        if time.monotonic() >= until:
            return None
        time.sleep(_LOOK)


def ask_probe(folder: Path, state_dir: Path, interface: str, patience: float) -> dict[str, Any]:
    """Have the helper ask on `interface` and return its matrix as JSON values. Blocks.

    Raises what the helper says, or `HelperSilent` after `patience` seconds.
    """
    number = secrets.token_hex(16)
    request = state_dir.joinpath(*PROBE_REQUEST)
    request.parent.mkdir(exist_ok=True)
    wish = {"schema_version": SCHEMA_VERSION, "number": number, "interface": interface}
    write_durably(request, json.dumps(wish).encode())
    until = time.monotonic() + patience
    while time.monotonic() < until:
        answer = told(folder / PROBE)
        if isinstance(answer, dict) and answer.get("number") == number:
            if isinstance(answer.get("result"), dict):
                return dict(answer["result"])
            raise _refused(Fields(answer).fields("error"))
        time.sleep(_LOOK)
    raise HelperSilent(
        f"nobody has asked on {interface} within {patience:.0f} s",
        hint="on the server: systemctl status bty-probe.path bty-probe.service",
    )


def _refused(why: Fields) -> ProbeRefused:
    hint = why.optional(lambda name: why.text(name, most=4000), "hint")
    return ProbeRefused(why.text("message", most=4000), hint=hint)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def told(path: Path) -> Any:
    """Return what a helper wrote, or None where nothing is there that can be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def password_is_right(folder: Path, password: str) -> bool:
    """Ask the helper whether this is the password of `USER`; raise `HelperSilent` where it does not answer."""
    # A NUL ends a password for PAM, and half of one must not do.
    if not password or "\0" in password:
        return False
    question = json.dumps({"schema_version": SCHEMA_VERSION, "password": password}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            # By the kernel: with Python's own timeout, a full queue would be an error at once.
            for way in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                line.setsockopt(socket.SOL_SOCKET, way, _PATIENCE)
            line.connect(str(folder / LOGIN))
            line.sendall(question)
            line.shutdown(socket.SHUT_WR)
            answer = _whole(line)
        return Fields(json.loads(answer)).text("answer") == "yes"
    except (OSError, ValueError, InvalidField) as error:
        raise HelperSilent(
            f"the password of {USER} cannot be checked: {error}",
            hint="on the server: systemctl status bty-login.socket bty-login.service",
        ) from error


def _whole(line: socket.socket) -> bytes:
    said = b""
    while piece := line.recv(1024):
        said += piece
        if len(said) > 1024:
            raise ValueError("the answer is too long")
    return said
