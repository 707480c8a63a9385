"""The flash itself: a plan in, an image on the disk out, or a disk that does not boot."""

from __future__ import annotations

from contextlib import suppress
from threading import Event as Flag
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
from bty_core.flash.writer import DiskWriter
from bty_core.images.formats import SNIFF_BYTES, Format, refuse_non_disk
from bty_core.images.inspect import refuse_cut_short
from bty_core.images.table import read_table

_SETTLE_SECONDS = 10


def flash(plan: FlashPlan, emit: Emit = nowhere, cancel: Flag | None = None) -> Done:
    """Run the plan. On return the disk holds the image; on raise it does not boot, or nothing was written.

    Which of the two is in the error's `aftermath`. `emit` is called in the calling thread only; what it raises does
    not stop the flash. Setting `cancel`, or a `KeyboardInterrupt`, ends the flash within a second or two
    with `Cancelled`.

    Raises `Refused` (nothing was written), `ImageUnavailable`, `ImageCorrupt`, `VerifyFailed`, `WriteFailed`,
    `Cancelled`, and `ProgramMissing` where the format needs one that is not installed.
    """
    disk = _look_again(plan.disk)
    if found := refusals(plan.onto(disk)):
        raise Refusals(found)
    with Target(disk) as target:
        run = _Flash(plan.onto(disk), target, _unbreakable(emit), cancel or Flag())
        try:
            done = run.run()
        except KeyboardInterrupt:
            raise run.left(Cancelled("interrupted")) from None
        except BtyError as error:
            raise run.left(error) from error.__cause__
    _settle(disk)
    run.emit(done)
    return done


class _Flash:
    """One run of a plan, on an open target."""

    def __init__(self, plan: FlashPlan, target: Target, emit: Emit, cancel: Flag) -> None:
        self.begun = False  # the old content of the disk is going
        self.emit = emit
        self._plan = plan
        self._target = target
        self._cancel = cancel
        self._writer = DiskWriter(target, plan.image.name, remember=plan.options.verify)
        self._started = monotonic()

    def run(self) -> Done:
        plan, image, writer = self._plan, self._plan.image, self._writer
        self.emit(
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
        self._check(moved)
        writer.finish()
        if plan.options.verify:
            read_back(self._target, writer.written, self._verifying, self._cancel)
        if plan.options.fix_gpt:
            writer.move_gpt(self._target.size or max(self._target.old_size, writer.total))
        writer.commit()
        table_read = self._target.read_table_again()
        self.emit(Synced(disk_bytes=writer.total))
        return Done(
            bytes_written=writer.bytes_written,
            bytes_skipped=writer.bytes_skipped,
            seconds=round(monotonic() - self._started, 3),
            sha256=moved.sha256,
            verified=plan.options.verify,
            table_read=table_read,
        )

    def left(self, error: BtyError) -> BtyError:
        """Return the failure with the state in which it left the disk."""
        if self.begun and isinstance(error, Refused):
            # A refusal promises that nothing was written.
            error = WriteFailed(error.message, hint=error.hint)
        path = self._plan.disk.path
        error.aftermath = (
            f"{path} does not boot now; flash it again"
            if self.begun
            else f"nothing was written to {path}"
        )
        return error

    def take(self, chunk: Chunk) -> None:
        """Write a chunk; the first one begins by taking away what was on the disk."""
        if not self.begun:
            refuse_non_disk(bytes(chunk.view[:SNIFF_BYTES]), self._plan.image.name)
            self.begun = True
            self._writer.wipe()
        self._writer.take(chunk)

    def _check(self, moved: Moved) -> None:
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
        refuse_cut_short(read_table(self._writer.head), moved.decoded_bytes, image.name)

    def _progress(self, meter: Meter) -> None:
        while meter.retries:
            self.emit(meter.retries.popleft())
        total = self._plan.image.virtual_size
        self.emit(
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
        self.emit(Verifying(disk_bytes=right, total_bytes=self._writer.total))


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


def _unbreakable(emit: Emit) -> Emit:
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
