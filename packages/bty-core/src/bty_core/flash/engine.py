"""The flash itself: a plan in, an image on the disk out, or a disk that does not boot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread
from time import monotonic

from bty_core import proc
from bty_core.disks.file_target import file_disk
from bty_core.disks.lsblk import read_disk
from bty_core.disks.model import Disk, Kind
from bty_core.errors import (
    BtyError,
    Cancelled,
    CommandFailed,
    DigestMismatch,
    DiskChanged,
    ImageCorrupt,
    ProgramMissing,
    Refusals,
    Refused,
    WriteFailed,
)
from bty_core.events import Done, Emit, Event, Progress, Started, Synced, Verifying, nowhere
from bty_core.flash.flow import Chunk
from bty_core.flash.plan import FlashPlan, refusals
from bty_core.flash.target import Target
from bty_core.flash.transfer import Meter, Moved, Request, transfer
from bty_core.flash.verify import read_back
from bty_core.flash.writer import DiskState, DiskWriter
from bty_core.images.formats import SNIFF_BYTES, Format, refuse_non_disk
from bty_core.images.inspect import refuse_cut_short
from bty_core.images.table import read_table

_SETTLE_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskAccess:
    """How a flash gets at its disk."""

    look_again: Callable[[Disk], Disk]  # the disk as it is now; `DiskChanged` where it is another
    open: Callable[[Disk], Target]
    settle: Callable[[Disk], None]  # returns when all names of what was written are there


def flash(
    plan: FlashPlan,
    emit: Emit = nowhere,
    cancel: Flag | None = None,
    disks: DiskAccess | None = None,
) -> Done:
    """Run the plan. On return the disk holds the image; on raise it does not boot, or nothing was written.

    Which of the two is in the error's `aftermath`. `emit` is called in the calling thread only; what it raises does
    not stop the flash. `disks` is the way to the disks, that of this computer where nothing else is said. Setting
    `cancel`, or a `KeyboardInterrupt`, which sets it, ends the flash within a second or two with `Cancelled`, or with
    success where the image was complete by then.

    Raises `Refused` (nothing was written), `ImageUnavailable`, `ImageCorrupt`, `VerifyFailed`, `WriteFailed`,
    `Cancelled`, and `ProgramMissing` where the format needs one that is not installed.
    """
    disks = disks or THIS_COMPUTER
    run = _Flash(plan, cancel or Flag(), disks)
    run.watch(unbreakable(emit))
    done = run.result()
    # The image is on the disk: who interrupts now only waits no longer.
    with suppress(KeyboardInterrupt):
        disks.settle(plan.disk)
    unbreakable(emit)(done)
    return done


class _Flash:
    """One run of a plan, in a thread of its own.

    An interrupt reaches the calling thread, at any instruction; the one that writes to the disk is only asked to stop,
    so that it leaves the disk in a state that it knows.
    """

    def __init__(self, plan: FlashPlan, cancel: Flag, disks: DiskAccess) -> None:
        self._plan = plan
        self._disks = disks
        self._cancel = cancel
        self._interrupted = False
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._target: Target | None = None
        self._writer: DiskWriter | None = None
        self._started = monotonic()
        self._done: Done | None = None
        self._error: BaseException | None = None
        self._ended = Flag()
        self._thread = Thread(target=self._work, name="bty-flash", daemon=True)

    def watch(self, emit: Emit) -> None:
        """Run to the end, whatever it is, and emit the events meanwhile."""
        ended = False
        try:
            self._thread.start()
            while (event := self._events.get()) is not None:
                emit(event)
            ended = True
        except KeyboardInterrupt:
            self._interrupted = True
        finally:
            # Not join(): in Python 3.11 an interrupt makes it believe that the thread has ended.
            while self._thread.ident is not None and not self._ended.is_set():
                # Whoever interrupts again must not leave while something still writes to the disk.
                with suppress(KeyboardInterrupt):
                    if not ended:
                        self._cancel.set()
                    self._ended.wait()

    def result(self) -> Done:
        """Return what was done, or raise the failure with the state in which it left the disk."""
        if self._done is not None:
            return self._done
        error = self._error or Cancelled("interrupted")
        aftermath = self._aftermath()
        if isinstance(error, BtyError):
            cause = error.__cause__
            if self._interrupted and isinstance(error, Cancelled):
                error = Cancelled("interrupted")
            elif self._begun and isinstance(error, Refused):
                # A refusal promises that nothing was written.
                error = WriteFailed(error.message, hint=error.hint)
            error.aftermath = aftermath
            raise error from cause
        error.add_note(aftermath)
        raise error

    @property
    def _begun(self) -> bool:
        return self._writer is not None and self._writer.state is not DiskState.UNTOUCHED

    def _aftermath(self) -> str:
        path = self._plan.disk.path
        match self._writer.state if self._writer else DiskState.UNTOUCHED:
            case DiskState.UNTOUCHED:
                return f"nothing was written to {path}"
            case DiskState.DEAD:
                return f"{path} does not boot now; flash it again"
            case DiskState.UNKNOWN:
                return f"what is on {path} now is not known, do not boot it; flash it again"

    def _work(self) -> None:
        try:
            plan = self._plan.onto(self._disks.look_again(self._plan.disk))
            if found := refusals(plan):
                raise Refusals(found)
            with self._disks.open(plan.disk) as self._target:
                self._plan = plan
                self._writer = DiskWriter(
                    self._target, plan.image.name, remember=plan.options.verify
                )
                self._done = self._run(self._target, self._writer)
        except BaseException as error:  # noqa: BLE001  # raised again by result(), in the thread that called
            self._error = error
        finally:
            self._events.put(None)
            self._ended.set()

    def _run(self, target: Target, writer: DiskWriter) -> Done:
        plan, image = self._plan, self._plan.image
        self._emit(
            Started(
                image=str(image.source),
                disk=str(plan.disk.path),
                remote=image.source.remote,
                source_total_bytes=image.size,
                total_bytes=image.virtual_size,
            )
        )
        request = Request(
            source=image.source,
            format=image.format,
            virtual_size=image.virtual_size,
            # A plain local file is read faster than it is hashed: without a digest to compare, and with the read-back
            # given up for speed, nothing needs the sum.
            hashing=plan.digest is not None
            or plan.options.verify
            or image.format is not Format.RAW
            or image.source.remote,
            max_window=plan.options.max_window,
        )
        moved = transfer(request, self, self._progress, self._cancel)
        self._check(moved, writer)
        writer.finish()
        if plan.options.verify:
            read_back(target, writer.written, self._verifying, self._cancel)
        if plan.options.fix_gpt:
            writer.move_gpt(target.size or max(target.old_size, writer.total))
        if self._cancel.is_set():
            raise Cancelled("stopped on request")
        writer.commit()
        table_read = target.read_table_again()
        self._emit(Synced(disk_bytes=writer.total))
        return Done(
            bytes_written=writer.bytes_written,
            bytes_skipped=writer.bytes_skipped,
            seconds=round(monotonic() - self._started, 3),
            sha256=moved.sha256,
            verified=plan.options.verify,
            table_read=table_read,
        )

    def _emit(self, event: Event) -> None:
        self._events.put(event)

    def take(self, chunk: Chunk) -> None:
        """Write a chunk; the first one begins by taking away what was on the disk."""
        assert self._writer is not None
        if not self._begun:
            refuse_non_disk(bytes(chunk.view[:SNIFF_BYTES]), self._plan.image.name)
            self._writer.wipe()
        self._writer.take(chunk)

    def _check(self, moved: Moved, writer: DiskWriter) -> None:
        image, digest = self._plan.image, self._plan.digest
        if digest is not None and moved.sha256 != digest.digest.hex:
            raise DigestMismatch(
                f"{image.name} has the digest sha256:{moved.sha256}, and {digest.origin} says {digest.digest}",
                hint="fetch the image again, or correct the digest",
            )
        if not moved.decoded_bytes:
            raise ImageCorrupt(f"{image.name} is empty", hint="fetch or copy it again")
        if image.virtual_size is not None and moved.decoded_bytes < image.virtual_size:
            raise ImageCorrupt(
                f"{image.name} ended after {moved.decoded_bytes} of {image.virtual_size} bytes",
                hint="it is cut short, or was changed during the flash: fetch it again",
            )
        refuse_cut_short(read_table(writer.head), moved.decoded_bytes, image.name)

    def _progress(self, meter: Meter) -> None:
        while meter.retries:
            self._emit(meter.retries.popleft())
        total = self._plan.image.virtual_size
        self._emit(
            Progress(
                source_bytes=meter.source_bytes,
                disk_bytes=meter.decoded_bytes,
                # A second zstd frame makes more of the image than the first one said.
                total_bytes=total if total is not None and meter.decoded_bytes <= total else None,
                source_seconds=meter.source_seconds,
                decode_seconds=meter.decode_seconds,
                disk_seconds=meter.disk_seconds,
            )
        )

    def _verifying(self, right: int) -> None:
        assert self._writer is not None
        total = sum(piece.length for piece in self._writer.written)
        self._emit(Verifying(disk_bytes=right, total_bytes=total))


def _look_again(planned: Disk) -> Disk:
    """Return the disk as it is now; raise `DiskChanged` where it is another one."""
    if planned.kind is Kind.FILE:
        return file_disk(planned.path)
    now = read_disk(planned.path)
    for what, before, after in (
        ("serial number", planned.serial, now.serial),
        ("WWN", planned.wwn, now.wwn),
        ("attachment", planned.diskseq, now.diskseq),
        ("device number", planned.device, now.device),
    ):
        if before != after:
            raise DiskChanged(
                f"{planned.path} is not the disk of the plan: its {what} is {after}, it was {before}",
                hint="look at the disks and make the plan again",
            )
    return now


def unbreakable(emit: Emit) -> Emit:
    """A renderer that fails must not stop a write; it is not asked again."""
    broken = False

    def safely(event: Event) -> None:
        nonlocal broken
        if not broken:
            try:
                emit(event)
            except Exception:  # noqa: BLE001  # whatever a renderer does
                broken = True

    return safely


def _settle(disk: Disk) -> None:
    """Wait until udev has made the names of the new partitions; where there is no udev there is nothing to wait for."""
    if disk.kind is Kind.FILE:
        return
    with suppress(ProgramMissing, CommandFailed):
        proc.run(["udevadm", "settle", f"--timeout={_SETTLE_SECONDS}"], timeout=_SETTLE_SECONDS + 5)


THIS_COMPUTER = DiskAccess(look_again=_look_again, open=Target, settle=_settle)
