"""The only door to other programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from os import PathLike, fspath
from shlex import join
from signal import SIGKILL, SIGTERM
from threading import Lock, Timer

from bty_core.errors import CommandFailed, ProgramMissing

# Debian's package for each program that bty calls, so that a message can name it.
PACKAGES = {
    "/usr/lib/apt/apt-helper": "apt",
    "apt-get": "apt",
    "blkid": "util-linux",
    "dnsmasq": "dnsmasq-base",
    "dpkg-deb": "dpkg",
    "efibootmgr": "efibootmgr",
    "fsck.exfat": "exfatprogs",
    "ip": "iproute2",
    "losetup": "mount",
    "lsblk": "util-linux",
    "mdir": "mtools",
    "mkfs.exfat": "exfatprogs",
    "mount.exfat-fuse": "exfat-fuse",
    "qemu-nbd": "qemu-utils",
    "setpriv": "util-linux",
    "sfdisk": "fdisk",
    "umount": "mount",
    "unshare": "util-linux",
}


def find(program: str) -> str:
    """Return the path of `program`, system directories included; raise `ProgramMissing`."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/sbin"
    found = shutil.which(program, path=path)
    if found is None:
        package = PACKAGES.get(program, program)
        raise ProgramMissing(
            f"{program} is not installed", hint=f"install it: apt install {package}"
        )
    return found


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that programs are started in: the caller's, in a language that can be parsed."""
    return {**os.environ, "LC_ALL": "C.UTF-8", **(extra or {})}


def run(
    argv: Sequence[str | PathLike[str]],
    *,
    timeout: float,
    stdin: bytes = b"",
    ok: Sequence[int] = (0,),
) -> str:
    """Run `argv` to its end and return its standard output.

    `timeout` is in seconds. The program gets a process group of its own, which is killed as a whole when time is up
    or the caller is interrupted. Raises `ProgramMissing`, or `CommandFailed` with the command as it can be typed.
    """
    words = [find(fspath(argv[0])), *[fspath(word) for word in argv[1:]]]
    typed = join([fspath(argv[0]), *words[1:]])
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except BaseException as stop:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)
        process.communicate()
        if isinstance(stop, subprocess.TimeoutExpired):
            raise CommandFailed(f"{typed} did not end within {timeout:g} s") from None
        raise
    if process.returncode not in ok:
        said = " ".join(err.decode(errors="replace").split()) or "it said nothing"
        raise CommandFailed(f"{typed} failed with status {process.returncode}: {said}")
    return out.decode(errors="replace")


def stream(
    argv: Sequence[str | PathLike[str]], line: Callable[[str], None], *, timeout: float
) -> None:
    """Run `argv` to its end and hand `line` each line that it writes, of both its outputs, as it comes.

    `timeout` is in seconds. The program gets a process group of its own, which is ended as a whole when time is
    up or the caller is interrupted. Raises `ProgramMissing`, or `CommandFailed` with the command as it can be typed.
    """
    words = [find(fspath(argv[0])), *[fspath(word) for word in argv[1:]]]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        text=True,
        errors="replace",
        start_new_session=True,
    )
    overdue = Timer(timeout, _end_group, [process, SIGTERM])
    overdue.start()
    try:
        for text in process.stdout or ():
            line(text.rstrip("\n"))
        status = process.wait()
    except BaseException:
        # It may have mounts and children to take back, which only it knows.
        _end_group(process, SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        _end_group(process, SIGKILL)
        process.wait()
        raise
    finally:
        in_time = overdue.is_alive()
        overdue.cancel()
        if process.stdout:
            process.stdout.close()
    if status:
        why = f"failed with status {status}" if in_time else f"did not end within {timeout:g} s"
        raise CommandFailed(f"{join([fspath(argv[0]), *words[1:]])} {why}")


def _end_group(process: subprocess.Popen[str], how: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)


class Background:
    """A program that serves bty while it works, in a process group of its own.

    A Ctrl-C on the terminal so reaches bty alone, which then ends the program in its own time.
    """

    def __init__(self, argv: Sequence[str | PathLike[str]]) -> None:
        """Start `argv` and return at once; raise `ProgramMissing` where it is not installed."""
        self._ending = Lock()
        self._said = ""
        self._process = subprocess.Popen(
            [find(fspath(argv[0])), *[fspath(word) for word in argv[1:]]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> str:
        """End it, by force after five seconds, and return what it wrote to its standard error.

        May be called from several threads, and again.
        """
        with self._ending:
            self._said = self._said or self._end()
            return self._said

    def _end(self) -> str:
        if self._process.stderr is None or self._process.stderr.closed:
            return ""
        self._process.terminate()
        try:
            _, said = self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, said = self._process.communicate()
        return " ".join(said.decode(errors="replace").split())


def run_attached(argv: Sequence[str | PathLike[str]]) -> int:
    """Run `argv` on the caller's own terminal until it ends; return its exit code.

    For programs that a person talks to, such as a shell. Raises `ProgramMissing`.
    """
    words = [find(fspath(argv[0])), *[fspath(word) for word in argv[1:]]]
    process = subprocess.Popen(words)
    while True:
        # Ctrl-C is for the program; it ends when the person says so.
        with suppress(KeyboardInterrupt):
            return process.wait()
