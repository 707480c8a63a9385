"""A way into one machine, by OpenSSH's own client: its host key is known, or the machine is not believed."""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic, sleep

from bty_core import proc
from bty_core.errors import BtyError, Cancelled, CommandFailed
from bty_core.values import size_text
from bty_web.online.errors import AccessRefused, ConnectionBroken, NoAnswer, WrongHost
from bty_web.services.access import Door

_CONNECT = 10  # seconds for one try
_LOOK = 0.25  # seconds
_OF_SSH = 255  # the status of ssh itself, and not of what it ran
_MOST = 8 << 20  # bytes that a command may say; facts of a machine are hundreds of KB
_TOLD = 300  # characters of what ssh says
_WRONG = re.compile(r"host key verification failed|remote host identification has changed", re.I)
_REFUSED = re.compile(r"permission denied|too many authentication failures", re.I)
_ALIAS = "machine"  # the name under which the host key stands, whatever the address


class Way:
    """Commands on the machine at `address`, with all that they need in `folder`, which is private."""

    def __init__(self, folder: Path, door: Door, address: str) -> None:
        self.address = address
        self.door = door
        self._folder = folder
        self._words = self._options()

    def run(
        self, command: str, *, stdin: bytes = b"", timeout: float, stop: Event | None = None
    ) -> str:
        """Run `command` there and return what it prints.

        Raises `NoAnswer`, `WrongHost`, `AccessRefused`, `ConnectionBroken`, `Cancelled` when `stop` is set, and
        `CommandRefused` for a command that failed.
        """
        try:
            found = proc.ask(
                [*self._words, "--", self._target, command],
                timeout=timeout,
                most=_MOST,
                stdin=stdin,
                variables=self._environment(),
                stop=stop,
            )
        except CommandFailed as failure:
            raise CommandRefused(
                f"a command on {self.address} says more than {size_text(_MOST)}",
                hint="look at that machine: it is no longer what was flashed",
            ) from failure
        if found is None:
            raise NoAnswer(f"a command on {self.address} did not end within {timeout:g} s")
        if found.status == 0:
            return found.out
        if found.status < 0:  # somebody ended it, and not the machine
            raise NoAnswer(f"ssh to {self.address} was ended by signal {-found.status}")
        if found.status == _OF_SSH:
            raise self.failure(found.err)
        raise CommandRefused(
            f"a command on {self.address} failed with status {found.status}: {_said(found.err)}"
        )

    def forward(self) -> Forward:
        """Open a port on this computer's loopback that leads to the machine's own sshd, over what was verified."""
        port = _free_port()
        words = ["-N", "-o", "ExitOnForwardFailure=yes"]
        words += ["-L", f"127.0.0.1:{port}:127.0.0.1:{self.door.port}", "--", self._target]
        return Forward(self, proc.Background([*self._words, *words], self._environment()), port)

    def failure(self, err: str) -> BtyError:
        """Return what went wrong, from the words of ssh."""
        said = _said(err)
        if _WRONG.search(err):
            return WrongHost(
                f"what answers at {self.address} is not the machine that was flashed: its host key is another one",
                hint="look which machine has this address; flash the machine again if it made itself new host keys",
            )
        if _REFUSED.search(err):
            return AccessRefused(
                f"{self.address} does not let {self.door.user} in: {said}",
                hint="look whether cloud-init ran on it: cloud-init status --long",
            )
        if "closed by remote host" in err or "Broken pipe" in err or "Timeout, server" in err:
            return ConnectionBroken(f"the connection to {self.address} broke: {said}")
        return NoAnswer(f"{self.address} does not answer on SSH: {said}")

    @property
    def _target(self) -> str:
        return f"{self.door.user}@{self.address}"

    def _environment(self) -> dict[str, str]:
        if self.door.password is None:
            return {}
        return {"SSH_ASKPASS": str(self._folder / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}

    def _options(self) -> list[str]:
        door, folder = self.door, self._folder
        hosts = folder / "known_hosts"
        hosts.write_text(f"{_ALIAS} {door.host_key}\n" if door.host_key else "")
        options = {
            "BatchMode": "no" if door.password else "yes",
            "CheckHostIP": "no",
            "ConnectTimeout": str(_CONNECT),
            "ControlMaster": "no",
            "ControlPath": "none",
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": _ALIAS,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "LogLevel": "ERROR",
            "NumberOfPasswordPrompts": "1",
            "PasswordAuthentication": "yes" if door.password else "no",
            "KbdInteractiveAuthentication": "yes" if door.password else "no",
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "3",
            "StrictHostKeyChecking": "yes" if door.host_key else "no",
            "UpdateHostKeys": "no",
            "UserKnownHostsFile": str(hosts) if door.host_key else "/dev/null",
        }
        if door.host_key:
            options["HostKeyAlgorithms"] = _algorithms(door.host_key)
        # It goes with whoever started it, also where that is killed.
        words = ["setpriv", "--pdeathsig=KILL", proc.find("ssh")]
        words += ["-F", "none", "-T", "-p", str(door.port)]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        if door.key is not None:
            words += ["-i", str(written(folder / "key", door.key))]
        else:
            words += ["-o", "PubkeyAuthentication=no"]
        if door.password is not None:
            written(folder / "password", door.password + "\n")
            script = f"#!/bin/sh\nexec cat '{folder / 'password'}'\n"
            written(folder / "askpass", script, mode=0o700)
        return words


class CommandRefused(BtyError):
    """A command ran on the machine and failed."""

    code = "command-refused"


class Forward:
    """A port of this computer's loopback that leads to the machine; close it."""

    def __init__(self, way: Way, program: proc.Background, port: int) -> None:
        self.port = port
        self._way = way
        self._program = program

    def wait_open(self, timeout: float, stop: Event) -> None:
        """Return when it leads there; raise what `Way.run` raises, also `Cancelled`."""
        until = monotonic() + timeout
        while monotonic() < until:
            if stop.is_set():
                raise Cancelled("it was stopped")
            if not self._program.running:
                raise self.broken()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as line:
                line.settimeout(5)
                if line.recv(4) == b"SSH-":
                    return
            sleep(_LOOK)
        raise ConnectionBroken(
            f"{self._way.address} forwards no connection to its own sshd",
            hint="allow it in its sshd_config: AllowTcpForwarding yes",
        )

    @property
    def is_open(self) -> bool:
        """Whether it still leads there."""
        return self._program.running

    def wait_closed(self, timeout: float) -> None:
        """Return when it leads there no more, or after `timeout` seconds where nothing answers behind it."""
        until = monotonic() + timeout
        while self.is_open and monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as line:
                line.settimeout(timeout)
                if line.recv(4) == b"SSH-":
                    return
            sleep(_LOOK)

    def broken(self) -> BtyError:
        """Return why it has ended."""
        return self._way.failure(self._program.stop())

    def close(self) -> None:
        """End it."""
        self._program.stop()


def written(path: Path, text: str, *, mode: int = 0o600) -> Path:
    """Write a text that only we may read, in place of what was there."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    return path


def _said(err: str) -> str:
    return " ".join(err.replace("\0", " ").split())[-_TOLD:] or "it said nothing"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _algorithms(host_key: str) -> str:
    """Return what sshd may prove itself with: an RSA key signs in newer ways than its name says."""
    kind = host_key.split(maxsplit=1)[0]
    return "rsa-sha2-512,rsa-sha2-256" if kind == "ssh-rsa" else kind
