"""What a watcher shows, folded from the events."""

from __future__ import annotations

import pytest

from bty_core.events import Done, Event, Failed, Progress, Retrying, Started, Synced, Verifying
from bty_core.flash.fold import Bottleneck, FlashState, Phase, advance

STARTED = Started(image="i", disk="d", remote=True, source_total_bytes=500, total_bytes=1000)


def progress(
    disk: int,
    source: int = 0,
    seconds: tuple[float, float, float] = (0, 0, 0),
    total: int | None = 1000,
) -> Progress:
    return Progress(
        source_bytes=source,
        disk_bytes=disk,
        total_bytes=total,
        source_seconds=seconds[0],
        decode_seconds=seconds[1],
        disk_seconds=seconds[2],
    )


def fold(*events: tuple[float, Event]) -> FlashState:
    state = FlashState()
    for now, event in events:
        state = advance(state, event, now)
    return state


def test_rate_fraction_and_time_left_come_from_the_events() -> None:
    state = fold((0, STARTED), (1, progress(100)), (2, progress(200)))
    assert (state.phase, state.fraction, state.rate, state.seconds_left) == (
        Phase.WRITING,
        0.2,
        100,
        8,
    )


def test_without_a_size_on_the_disk_the_source_tells_how_far_it_is() -> None:
    state = fold(
        (0, STARTED), (1, progress(300, 50, total=None)), (2, progress(900, 100, total=None))
    )
    assert (state.fraction, state.rate, state.seconds_left) == (0.2, 600, 8)


def test_without_any_size_nobody_can_know() -> None:
    started = Started(image="i", disk="d", remote=True, source_total_bytes=None, total_bytes=None)
    state = fold(
        (0, started), (1, progress(300, 50, total=None)), (2, progress(900, 100, total=None))
    )
    assert (state.fraction, state.rate, state.seconds_left) == (None, 450, None)


def test_only_the_last_seconds_count() -> None:
    events = [(float(now), progress(min(now, 10) * 50)) for now in range(1, 20)]
    state = fold((0, STARTED), *events)
    assert (state.rate, state.seconds_left) == (0, None)
    assert len(state.samples) <= 7


@pytest.mark.parametrize(
    ("seconds", "remote", "expected"),
    [
        ((0.9, 0.1, 0.2), True, Bottleneck.NETWORK),
        ((0.9, 0.1, 0.2), False, Bottleneck.SOURCE),
        ((0.1, 0.8, 0.2), True, Bottleneck.DECODE),
        ((0.1, 0.8, 0.9), True, Bottleneck.DISK),
        ((0.0, 0.0, 0.0), True, None),
    ],
)
def test_the_stage_that_works_most_is_the_bottleneck(
    seconds: tuple[float, float, float], remote: bool, expected: Bottleneck | None
) -> None:
    started = Started(image="i", disk="d", remote=remote, source_total_bytes=1, total_bytes=1000)
    assert fold((0, started), (1, progress(1, seconds=seconds))).bottleneck is expected


def test_a_break_shows_until_bytes_come_again() -> None:
    broken = Retrying(reason="r", source_bytes=10, attempt=1, wait_seconds=1.0)
    state = fold((0, STARTED), (1, progress(50, 10)), (2, broken), (3, progress(50, 10)))
    assert state.phase is Phase.RETRYING
    assert advance(state, progress(60, 11), 4).phase is Phase.WRITING


def test_the_read_back_has_a_rate_of_its_own() -> None:
    state = fold(
        (0, STARTED),
        (1, progress(1000)),
        (2, Verifying(disk_bytes=0, total_bytes=1000)),
        (3, Verifying(disk_bytes=500, total_bytes=1000)),
    )
    assert (state.phase, state.fraction, state.rate, state.seconds_left) == (
        Phase.VERIFYING,
        0.5,
        500,
        1,
    )
    assert state.bottleneck is None


def test_the_end_is_the_end() -> None:
    state = fold((0, STARTED), (1, Synced(disk_bytes=900)))
    assert (state.phase, state.fraction) == (Phase.FINISHING, 1.0)
    done = Done(
        bytes_written=500,
        bytes_skipped=400,
        seconds=1.0,
        sha256=None,
        verified=False,
        table_read=True,
    )
    assert advance(state, done, 2).disk_bytes == 900
    assert advance(state, Failed(code="c", message="m", hint=None), 2).phase is Phase.FAILED
