"""The only door to other programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector, SelectorKey
from shlex import join
from signal import SIGKILL, SIGTERM
from threading import Event, Lock, Timer
from time import monotonic
from typing import IO, cast

from bty_core.errors import Cancelled, CommandFailed, ProgramMissing

# Debian's package for each program that bty calls, so that a message can name it.
PACKAGES = {
    "/usr/lib/apt/apt-helper": "apt",
    "apt-get": "apt",
    "bwrap": "bubblewrap",
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
    "ssh": "openssh-client",
    "umount": "mount",
    "unshare": "util-linux",
}

_PIECE = 1 << 16  # bytes
_LOOK = 0.25  # seconds between two looks at a program that is watched
_GRACE = 2.0  # seconds for a program to end by itself


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
    folder: Path | None = None,
) -> str:
    """Run `argv` to its end, in `folder` or where bty runs, and return its standard output.

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
        cwd=folder,
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


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended, and what it said."""

    status: int
    out: str
    err: str


def ask(  # noqa: PLR0913
    argv: Sequence[str | PathLike[str]],
    *,
    timeout: float,
    most: int,
    stdin: bytes = b"",
    variables: Mapping[str, str] | None = None,
    stop: Event | None = None,
) -> Answer | None:
    """Run `argv` to its end, whatever its status is; None where it did not end within `timeout` seconds.

    `variables` come besides those of bty. Raises `ProgramMissing`, `CommandFailed` as soon as it has said more than
    `most` bytes, or `Cancelled` as soon as `stop` is set. The program has a process group of its own, which is killed
    as a whole.
    """
    process = subprocess.Popen(
        [find(fspath(argv[0])), *[fspath(word) for word in argv[1:]]],
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(variables),
        start_new_session=True,
    )
    until = monotonic() + timeout
    ends = _Ends(process, stdin)
    try:
        while monotonic() < until:
            if stop is not None and stop.is_set():
                raise Cancelled("it was stopped")
            if ends.move(_LOOK):
                with suppress(subprocess.TimeoutExpired):
                    return Answer(process.wait(_LOOK), *ends.said())
            if ends.size > most:
                raise CommandFailed(f"{fspath(argv[0])} says more than {most} bytes")
        return None
    finally:
        if process.poll() is None:
            _end_group(process, SIGKILL)
            process.wait()
        ends.close()


class _Ends:
    """The pipes of a program: what it is to read goes in, and what it says is kept."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes) -> None:
        self.size = 0  # bytes that it has said
        self._left = memoryview(stdin)
        self._pipes = [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe]
        self._said = {pipe: bytearray() for pipe in self._pipes if pipe is not process.stdin}
        self._open = DefaultSelector()
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
            self._open.register(pipe, EVENT_READ if pipe in self._said else EVENT_WRITE)

    def move(self, seconds: float) -> bool:
        """Move what can be moved, after at most `seconds`; return whether it has closed its end of all pipes."""
        if not self._open.get_map():
            return True
        for key, _ in self._open.select(seconds):
            if key.events & EVENT_WRITE:
                self._write(key)
            else:
                self._read(key)
        return not self._open.get_map()

    def said(self) -> tuple[str, str]:
        """Return what it said on its standard output and standard error."""
        out, err = (said.decode(errors="replace") for said in self._said.values())
        return out, err

    def close(self) -> None:
        """Close the pipes."""
        self._open.close()
        for pipe in self._pipes:
            with suppress(BrokenPipeError):
                pipe.close()

    def _write(self, key: SelectorKey) -> None:
        try:
            self._left = self._left[os.write(key.fd, self._left[:_PIECE]) :]
        except BrokenPipeError:
            self._left = self._left[:0]
        if not self._left:
            self._end(key)

    def _read(self, key: SelectorKey) -> None:
        piece = os.read(key.fd, _PIECE)
        if not piece:
            self._end(key)
            return
        self.size += len(piece)
        self._said[cast("IO[bytes]", key.fileobj)] += piece

    def _end(self, key: SelectorKey) -> None:
        self._open.unregister(key.fileobj)
        with suppress(BrokenPipeError):
            cast("IO[bytes]", key.fileobj).close()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a program runs, and where what it says goes."""

    folder: Path
    variables: Mapping[str, str]  # besides those of bty
    log: Path  # takes both its outputs


def watch(
    argv: Sequence[str | PathLike[str]],
    around: Surroundings,
    look: Callable[[], None],
    *,
    timeout: float,
    contained: bool = False,
) -> int | None:
    """Run `argv` to its end and return its status; None where it did not end within `timeout` seconds.

    `look` is called a few times a second; what it raises ends the program. With it go all processes that it has
    started, also those that left its process group, and also when bty is killed. Needs root, but for what is
    `contained`: a program that looks after its processes in this way itself.
    """
    words = [find(fspath(argv[0])), *[fspath(word) for word in argv[1:]]]
    if not contained:
        alone = ["setpriv", "--pdeathsig=KILL"]
        alone += ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        words = [find(alone[0]), *alone[1:], "--", *words]
    with around.log.open("ab") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(around.variables),
            cwd=around.folder,
            start_new_session=True,
        )
    until = monotonic() + timeout
    try:
        while monotonic() < until:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK)
            look()
        return None
    finally:
        if process.poll() is None:
            # What it runs hears of it first, so that it can say how far it came.
            _end_group(process, SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            _end_group(process, SIGKILL)
            process.wait()


def _end_group(process: subprocess.Popen[str] | subprocess.Popen[bytes], how: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)


class Background:
    """A program that serves bty while it works, in a process group of its own.

    A Ctrl-C on the terminal so reaches bty alone, which then ends the program in its own time.
    """

    def __init__(
        self,
        argv: Sequence[str | PathLike[str]],
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Start `argv` and return at once; raise `ProgramMissing` where it is not installed.

        `variables` come besides those of bty.
        """
        self._ending = Lock()
        self._said = ""
        self._process = subprocess.Popen(
            [find(fspath(argv[0])), *[fspath(word) for word in argv[1:]]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(variables),
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
