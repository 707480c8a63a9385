"""What a watcher shows of a flash, folded from its events: phase, fraction, rate, time left, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bty_core.events import (
    Done,
    Event,
    Failed,
    Progress,
    Provisioning,
    Retrying,
    Started,
    Synced,
    Verifying,
)

# Rates are those of the last seconds, so that they follow a link that gets slow.
_WINDOW_SECONDS = 5.0


class Phase(StrEnum):
    """Where a flash is."""

    WAITING = "waiting"
    WRITING = "writing"
    RETRYING = "retrying"
    VERIFYING = "verifying"
    FINISHING = "finishing"
    PROVISIONING = "provisioning"
    DONE = "done"
    FAILED = "failed"


class Bottleneck(StrEnum):
    """What the write waits for."""

    NETWORK = "network-bound"
    SOURCE = "source-bound"
    DECODE = "decode-bound"
    DISK = "disk-bound"


@dataclass(frozen=True, slots=True)
class Sample:
    """What was known at one moment; the seconds are what each stage had worked by then."""

    at: float
    done: float  # of the phase: bytes on the disk, or of the source where the size on the disk is not known
    disk_bytes: int
    seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)  # source, decoder, disk


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashState:
    """A flash as its events have told it so far. Sizes are bytes, rates bytes a second."""

    phase: Phase = Phase.WAITING
    source_bytes: int = 0
    source_total_bytes: int | None = None
    disk_bytes: int = 0
    total_bytes: int | None = None
    remote: bool = False
    samples: tuple[Sample, ...] = ()  # of the last seconds of this phase, the oldest first

    @property
    def fraction(self) -> float | None:
        """How much of this phase is done, 0 to 1; None while nobody can know."""
        whole, done = self._measure
        return min(done / whole, 1.0) if whole else None

    @property
    def rate(self) -> float | None:
        """Bytes of the image a second, onto the disk or back from it; None at the start."""
        return _slope([(sample.at, sample.disk_bytes) for sample in self.samples])

    @property
    def seconds_left(self) -> float | None:
        """How long this phase goes on at the present rate; None while nobody can know."""
        whole, done = self._measure
        speed = _slope([(sample.at, sample.done) for sample in self.samples])
        return max(whole - done, 0) / speed if whole and speed else None

    @property
    def bottleneck(self) -> Bottleneck | None:
        """The stage that has worked most in the last seconds: the others wait for it."""
        if self.phase not in (Phase.WRITING, Phase.RETRYING) or len(self.samples) < 2:
            return None
        first, last = self.samples[0].seconds, self.samples[-1].seconds
        worked = [after - before for before, after in zip(first, last, strict=True)]
        if max(worked) <= 0:
            return None
        source = Bottleneck.NETWORK if self.remote else Bottleneck.SOURCE
        return (source, Bottleneck.DECODE, Bottleneck.DISK)[worked.index(max(worked))]

    @property
    def _measure(self) -> tuple[int, int]:
        if self.total_bytes:
            return self.total_bytes, self.disk_bytes
        return self.source_total_bytes or 0, self.source_bytes


def _slope(points: list[tuple[float, float]]) -> float | None:
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    return (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])


def advance(state: FlashState, event: Event, now: float) -> FlashState:
    """Return `state` after `event`, which came at `now` (seconds of any steady clock)."""
    match event:
        case Started():
            return FlashState(
                phase=Phase.WRITING,
                source_total_bytes=event.source_total_bytes,
                total_bytes=event.total_bytes,
                remote=event.remote,
                samples=(Sample(now, 0, 0),),
            )
        case Progress():
            return _written(state, event, now)
        case Retrying():
            return replace(state, phase=Phase.RETRYING)
        case Verifying():
            return _verified(state, event, now)
        case Synced():
            return replace(
                state,
                phase=Phase.FINISHING,
                disk_bytes=event.disk_bytes,
                total_bytes=event.disk_bytes,
            )
        case Provisioning():
            return replace(state, phase=Phase.PROVISIONING, samples=())
        case Done():
            total = event.bytes_written + event.bytes_skipped
            return replace(state, phase=Phase.DONE, disk_bytes=total, total_bytes=total, samples=())
        case Failed():
            return replace(state, phase=Phase.FAILED, samples=())
        case _:
            return state


def _written(state: FlashState, event: Progress, now: float) -> FlashState:
    sample = Sample(
        now,
        event.disk_bytes if event.total_bytes else event.source_bytes,
        event.disk_bytes,
        (event.source_seconds, event.decode_seconds, event.disk_seconds),
    )
    # Where the size turns out to be unknown, what was measured by it says nothing any more.
    known = state.samples if bool(state.total_bytes) is bool(event.total_bytes) else ()
    waiting = state.phase is Phase.RETRYING and event.source_bytes == state.source_bytes
    return replace(
        state,
        phase=Phase.RETRYING if waiting else Phase.WRITING,
        source_bytes=event.source_bytes,
        disk_bytes=event.disk_bytes,
        total_bytes=event.total_bytes,
        samples=_recent(known, sample),
    )


def _verified(state: FlashState, event: Verifying, now: float) -> FlashState:
    known = state.samples if state.phase is Phase.VERIFYING else ()
    return replace(
        state,
        phase=Phase.VERIFYING,
        disk_bytes=event.disk_bytes,
        total_bytes=event.total_bytes,
        samples=_recent(known, Sample(now, event.disk_bytes, event.disk_bytes)),
    )


def _recent(samples: tuple[Sample, ...], newest: Sample) -> tuple[Sample, ...]:
    return (*(one for one in samples if newest.at - one.at <= _WINDOW_SECONDS), newest)
