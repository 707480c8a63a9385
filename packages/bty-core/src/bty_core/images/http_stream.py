"""The bytes of a file on a web server, once, whatever the link does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import xxhash

from bty_core.errors import Cancelled, ImageUnavailable
from bty_core.events import Retrying
from bty_core.images.exchange import Answer
from bty_core.images.failures import Contradiction, LinkError, dropped
from bty_core.images.remote import Remote, Version, expect, progress
from bty_core.images.source import OnRetry
from bty_core.images.turn import Turn
from bty_core.values import MIB


class HttpStream(Turn):
    """The bytes of a file on a server, once, whatever the link does."""

    def __init__(self, file: Remote, version: Version | None, on_retry: OnRetry) -> None:
        """Connect; `version` is what a look at the file has shown."""
        super().__init__(str(file))
        self._file = file
        self._version = version
        self._on_retry = on_retry
        self._at = 0  # bytes handed on
        # Of the bytes handed on. A server that cannot go on in the middle sends them again, and
        # this proves that they are the same. Not against attackers, so the fastest hash will do.
        self._hash = xxhash.xxh3_128()
        self._failures = 0  # in a row, without a byte of progress
        self._broken: LinkError | None = None  # met after bytes that had to be handed on first
        self._answer: Answer | None = None
        self._call: _Call | None = None
        self._finished = False
        while self._waiting:
            with self._turn():
                self._try(self._connect)

    @property
    def _waiting(self) -> bool:
        return self._answer is None and not self._finished

    @property
    def total_bytes(self) -> int | None:
        return self._version.total if self._version else None

    def readinto(self, view: memoryview) -> int:
        got = 0
        while len(view) and not got:
            with self._turn():
                if self._finished:
                    break
                got = self._try(lambda: self._read(view))
        return got

    def _try(self, action: Callable[[], int]) -> int:
        try:
            return action()
        except LinkError as error:
            self._give_back()
            self._go_on()
            self._mend(error)
            return 0
        except Contradiction as error:
            self._give_back()
            raise self._file.contradicted(error) from error
        except BaseException:
            self._give_back()
            raise

    def _mend(self, error: LinkError) -> None:
        """Wait before the next try, or give up."""
        if 0 < self._at == self.total_bytes:
            self._finish(self._at)  # a chunked answer lost its end, and nothing else
            return
        settings = self._file.settings
        self._failures += 1
        if not error.again or self._failures >= settings.tries:
            patient = error.again and self._failures > 1
            tries = f" ({self._failures} tries in a row)" if patient else ""
            what = (
                f"broke off after {progress(self._at, self.total_bytes)}"
                if self._at
                else "cannot be read"
            )
            raise ImageUnavailable(
                f"{self._file} {what}: {error.reason}{tries}", hint=error.hint
            ) from error
        wait = settings.wait(self._failures, error.pause)
        self._on_retry(
            Retrying(
                reason=error.reason,
                source_bytes=self._at,
                attempt=self._failures,
                wait_seconds=wait,
            )
        )
        self._closed.wait(wait)
        self._go_on()

    def _read(self, view: memoryview) -> int:
        broken, self._broken = self._broken, None
        if broken:
            raise broken
        if self._answer is None:
            self._connect()
        got = 0
        while self._answer and got < len(view):
            try:
                step = self._answer.read_some(view[got:])
            except LinkError as error:
                if not got:
                    raise
                self._broken = error
                break
            got += step
            self._check_length(self._at + got)
            if not step:
                self._end(self._at + got)
        self._at += got
        self._hash.update(view[:got])
        if got:
            self._failures = 0
        return got

    def _end(self, at: int) -> None:
        """The server says that `at` bytes are all."""
        total = self.total_bytes
        if total is not None and at < total:
            self._broken = dropped()
        else:
            self._finish(at)
        self._give_back()

    def _check_length(self, at: int) -> None:
        """Let no byte through that is past the end: an answer without a length may be endless."""
        total = self.total_bytes
        if total is not None and at > total:
            raise Contradiction("the server sent more bytes than it announced")

    def _finish(self, at: int) -> None:
        assert self._version
        self._version = replace(self._version, total=at)
        self._finished = True

    def _connect(self) -> int:
        """Ask for what is missing and check that the answer is just that."""
        condition = self._version.condition if self._version and self._at else None
        headers = {"Range": f"bytes={self._at}-", "If-Range": condition} if condition else {}
        call = self._call = _Call(lambda: self._file.ask(self._version, headers))
        try:
            self._go_on()  # a close that came before `_call` was set has not been able to cancel it
            answer = call.wait()
        except BaseException:
            call.cancel()
            raise
        finally:
            self._call = None
        self._answer = answer
        self._go_on()
        self._accept(answer, ranged=condition is not None)
        return 0

    def _accept(self, answer: Answer, *, ranged: bool) -> None:
        version = Version.of(answer)
        old = self._version
        if (
            answer.status == 416
            and ranged
            and old
            and old.total is None
            and version.total == self._at
        ):
            self._finish(
                self._at
            )  # the stream had no announced length, and lost its last sign only
            self._give_back()
            return
        if old and old.contradicts(version):
            raise self._file.changed(self._at, old.total)
        if old:
            version = replace(version, total=version.total if old.total is None else old.total)
        if answer.status == 200:
            self._version = version
            self._skip(answer)
        elif answer.status == 206 and ranged:
            expect(answer, self._at, version.total)
            # The tags stay those of the first answer: a part may carry fewer.
            self._version = (
                replace(version, etag=old.etag, modified=old.modified) if old else version
            )
        elif answer.status == 206:
            raise Contradiction("all of the file was asked for and the server sent a part")
        else:
            raise Contradiction(
                f"the server says that nothing follows byte {self._at} of {version.total}"
            )

    def _skip(self, answer: Answer) -> None:
        """Read the bytes that were handed on already once more, and compare."""
        if not self._at:
            return
        again = xxhash.xxh3_128()
        scratch = memoryview(bytearray(min(MIB, self._at)))
        left = self._at
        while left:
            got = answer.read_some(scratch[:left])
            if not got:
                raise self._file.changed(self._at, None) if answer.ends_clearly else dropped()
            again.update(scratch[:got])
            left -= got
        if again.digest() != self._hash.digest():
            raise self._file.changed(self._at, self.total_bytes)

    def _interrupt(self) -> None:
        call, answer = self._call, self._answer
        if call:
            call.cancel()
        if answer:
            answer.cut()

    def _give_back(self) -> None:
        answer, self._answer = self._answer, None
        if answer:
            answer.close()


class _Call:
    """A request in a thread of its own, so that whoever waits for it can be told to stop.

    Names are looked up and connections made in system calls that nothing can interrupt; a call that
    nobody waits for any more ends by its own timeouts and closes what it got.
    """

    def __init__(self, action: Callable[[], Answer]) -> None:
        self._action = action
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._cancelled = False
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="bty-http-request", daemon=True).start()

    def wait(self) -> Answer:
        """Return the answer or raise what the request raised; `Cancelled` after `cancel`."""
        self._over.wait()
        with self._lock:
            answer, self._answer = self._answer, None
        if answer:
            return answer
        raise self._error or Cancelled("the request was stopped")

    def cancel(self) -> None:
        """Let go of the request."""
        with self._lock:
            self._cancelled = True
            answer, self._answer = self._answer, None
        if answer:
            answer.close()
        self._over.set()

    def _run(self) -> None:
        try:
            answer = self._action()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self._error = error
        else:
            with self._lock:
                wanted = not self._cancelled
                if wanted:
                    self._answer = answer
            if not wanted:
                answer.close()
        self._over.set()
