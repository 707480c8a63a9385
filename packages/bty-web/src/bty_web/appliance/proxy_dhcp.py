"""``bty-appliance proxy-dhcp``: dnsmasq as the Settings page wants it.

A directive of dnsmasq can run programs as root, so no text that bty-web wrote is used here. Only the values are
read; they are checked, the configuration is rendered again by the same code, tested by dnsmasq, and written at once
or not at all, to a folder of root's. No values means off.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bty_core.errors import BtyError, CommandFailed, InvalidValue, Refused, WriteFailed
from bty_core.proc import run
from bty_core.wire.fields import InvalidField
from bty_web.appliance import wishes
from bty_web.dhcp.dnsmasq import CONFIGURATION, VALUES, check, render
from bty_web.dhcp.durable import sync_folder, unwritable, write_durably
from bty_web.dhcp.values import ProxyDhcp
from bty_web.services.appliance import Applied, Done
from bty_web.settings import Settings

UNIT = "bty-dnsmasq.service"
FOLDER = Path("/etc/bty/dnsmasq")
_TIMEOUT = 60.0  # seconds for systemctl
_WATCHED = 2.0  # seconds in which a dnsmasq that cannot run has ended
_LOOK = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """Where the helper reads and writes, and how it starts and stops dnsmasq."""

    settings: Settings
    folder: Path = FOLDER
    systemctl: Sequence[str] = ("systemctl",)
    sysfs: Path = Path("/sys")

    @property
    def target(self) -> Path:
        """The configuration that dnsmasq is started with."""
        return self.folder / CONFIGURATION

    def apply(self) -> Applied:
        """Make dnsmasq what the values say, and return how that ended; what cannot be is refused."""
        of = ""
        try:
            text = self._wish()
            of = _digest(text)
            self._guard()
            return self._off() if text is None else self._on(text, of)
        except CommandFailed as failure:
            return Applied(done=Done.FAILED, of=of, message=failure.message, hint=failure.hint)
        except BtyError as refusal:
            return Applied(done=Done.REFUSED, of=of, message=refusal.message, hint=refusal.hint)

    def is_current(self, applied: Applied) -> bool:
        """Whether the values are still those that were applied; what cannot be read will not become better."""
        try:
            return _digest(self._wish()) == applied.of
        except BtyError:
            return True

    def _wish(self) -> bytes | None:
        below = _below(self.settings.dnsmasq_dir, self.settings.state_dir)
        return wishes.read(self.settings.state_dir, (*below, VALUES))

    def _on(self, text: bytes, of: str) -> Applied:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidValue("the values are not JSON", hint="save the settings again") from None
        values = ProxyDhcp.from_wire(message)
        self._fits(values)
        configuration = render(values)
        try:
            check(configuration)
        except CommandFailed as failure:
            raise Refused(failure.message, hint=failure.hint) from None
        if configuration != self._active():
            write_durably(self.target, configuration.encode())
            self._systemctl("restart")
        elif not self._runs():
            self._systemctl("restart")
        self._insist()
        return Applied(
            done=Done.ON,
            of=of,
            message=f"dnsmasq answers network boots on {values.interface} for {values.subnet}",
        )

    def _off(self) -> Applied:
        try:
            self.target.unlink()
            sync_folder(self.folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise WriteFailed(f"{self.target} cannot be removed: {why}") from None
        self._systemctl("stop")
        return Applied(done=Done.OFF, of="", message="dnsmasq does not run")

    def _fits(self, values: ProxyDhcp) -> None:
        """Refuse what is well formed and not this server: values come from a process that may be taken over."""
        url = f"http://{values.server}:{self.settings.bind.port}"
        if values.url != url:
            raise InvalidField("url", f"'{values.url}' is not where this server answers: {url}")
        if str(values.tftp_root) != str(self.settings.tftp_root):
            raise InvalidField(
                "tftp_root",
                f"{values.tftp_root} is not this server's TFTP folder: {self.settings.tftp_root}",
            )
        if not (self.sysfs / "class/net" / values.interface).exists():
            raise InvalidField(
                "interface",
                f"this server has no network interface '{values.interface}'",
                hint="ip -brief link lists what there is",
            )

    def _guard(self) -> None:
        # Who may write to the folder could put any text at the target's name after it was checked.
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            found = self.folder.stat()
        except OSError as error:
            raise unwritable(self.target, error) from None
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise Refused(
                f"{self.folder} belongs to somebody else, or others may write to it",
                hint=f"make it root's own: chown root: {self.folder}; chmod 755 {self.folder}",
            )

    def _active(self) -> str | None:
        try:
            return self.target.read_text("utf-8")
        except FileNotFoundError:
            return None

    def _systemctl(self, verb: str) -> None:
        run([*self.systemctl, verb, UNIT], timeout=_TIMEOUT)

    def _runs(self) -> bool:
        state = run([*self.systemctl, "is-active", UNIT], timeout=_TIMEOUT, ok=range(256))
        return state.strip() == "active"

    def _insist(self) -> None:
        """Raise `CommandFailed` where dnsmasq ends as soon as it has started."""
        until = time.monotonic() + _WATCHED
        while self._runs():
            if time.monotonic() > until:
                return
            time.sleep(_LOOK)
        raise CommandFailed(
            "dnsmasq takes the configuration and does not run with it",
            hint=f"its own words, on the server: journalctl --unit {UNIT}",
        )


def _digest(text: bytes | None) -> str:
    return "" if text is None else hashlib.sha256(text).hexdigest()


def _below(folder: Path, state_dir: Path) -> tuple[str, ...]:
    try:
        return folder.relative_to(state_dir).parts
    except ValueError:
        raise Refused(
            f"{folder} is not below the state folder {state_dir}",
            hint="take BTY_DNSMASQ_DIR out of the settings",
        ) from None
