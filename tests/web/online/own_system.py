"""A machine that has started its own system, as far as SSH can tell: this system's programs, files of its own, sshd."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bty_web.services.ssh_keys import KeyPair, make_pair

ADDRESS = "127.0.0.1"
_NEW_NETWORK = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_SSHD = """
Port 22
ListenAddress 127.0.0.1
HostKey /etc/ssh/key_of_this_machine
AuthorizedKeysFile .ssh/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
StrictModes no
"""
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--")
_START = """
set -eu
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
root=$1/root
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs none "$root/run"
mkdir -p "$root/run/sshd"
cp -a "$2/." "$root/"
exec chroot "$root" /bin/sh -c "$3"
"""


@contextmanager
def own_network() -> Iterator[None]:
    """Give this thread, and what it starts, a network with nothing but a loopback."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(_NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        _libc.setns(before, _NEW_NETWORK)
        os.close(before)


class OwnSystem:
    """The machine. `user_key` is the public key that opens it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = make_pair()
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "sshd.log"

    def start(self, user_key: str, *, host: KeyPair | None = None, config: str = "") -> None:
        """Switch it on, as cloud-init would leave it."""
        self.host = host or self.host
        files, point = self.folder / "files", self.folder / "point"
        shutil.rmtree(files, ignore_errors=True)
        point.mkdir(exist_ok=True, parents=True)
        for name, text, mode in (
            ("etc/ssh/key_of_this_machine", self.host.private, 0o600),
            ("etc/ssh/sshd_of_this_machine", config + _SSHD, 0o600),
            ("etc/sudoers.d/90-bty-online", "bty ALL=(ALL) NOPASSWD:ALL\n", 0o440),
            ("home/bty/.ssh/authorized_keys", user_key + "\n", 0o600),
        ):
            path = files / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(mode)
        run = (
            "useradd --badname --password '*' --shell /bin/sh --home-dir /home/bty bty 2>/dev/null;"
            "chown -R bty: /home/bty; chown root: /etc/sudoers.d/*; mkdir -p /var/empty;"
            "echo own-machine >/etc/hostname;"
            "exec /usr/sbin/sshd -D -e -f /etc/ssh/sshd_of_this_machine"
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                # Whatever runs in it goes with it.
                [*_ALONE, "sh", "-c", _START, "sh", str(point), str(files), run],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + 30
        while b"Server listening" not in self.log.read_bytes():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def run(self, command: str) -> str:
        """Do something on it, as a person at its console does."""
        assert self._process is not None
        inside = subprocess.run(
            ["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        words = ["nsenter", "--target", inside, "--mount", "--pid", "--root", "--", "sh", "-c"]
        ran = subprocess.run([*words, command], capture_output=True, text=True, check=True)
        return ran.stdout

    def stop(self) -> None:
        """Switch it off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.log.write_bytes(b"")
