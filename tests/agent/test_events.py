"""`--progress ndjson`: standard output is events, and `done` or `failed` is the last one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bty_agent import host
from bty_agent.exits import Exit
from bty_core.errors import CommandFailed
from bty_core.values import MIB
from tests.agent.running import Ran, bty, small_image
from tests.fakes.server import Fault, ImageServer

FIELDS = {
    "started": ["image", "disk", "remote", "source_total_bytes", "total_bytes"],
    "progress": [
        *("source_bytes", "disk_bytes", "total_bytes"),
        *("source_seconds", "decode_seconds", "disk_seconds"),
    ],
    "retrying": ["reason", "source_bytes", "attempt", "wait_seconds"],
    "verifying": ["disk_bytes", "total_bytes"],
    "synced": ["disk_bytes"],
    "done": [
        "bytes_written",
        "bytes_skipped",
        "seconds",
        "sha256",
        "verified",
        "table_read",
        "provisioned",
    ],
    "failed": ["code", "message", "hint"],
}


def flash(image: Path | str, disk: Path, *options: str) -> Ran:
    words = ["--image", image, "--target", f"file:{disk}", *options, "--progress", "ndjson"]
    return bty("flash", *words)


def kinds(ran: Ran) -> list[str]:
    """Return the events in order, each once where it comes several times in a row."""
    found = [event["event"] for event in ran.events]
    return [kind for kind, before in zip(found, [None, *found], strict=False) if kind != before]


def test_the_events_of_a_flash(tmp_path: Path) -> None:
    image, disk = small_image(tmp_path), tmp_path / "disk"
    ran = flash(image, disk, "--yes")
    assert ran.code == Exit.DONE
    assert kinds(ran) == ["started", "progress", "verifying", "synced", "done"]
    for event in ran.events:
        assert list(event) == ["event", *FIELDS[event["event"]]]
    assert ran.events[0] == {
        "event": "started",
        "image": str(image),
        "disk": str(disk),
        "remote": False,
        "source_total_bytes": 12 * MIB,
        "total_bytes": 12 * MIB,
    }
    done = ran.events[-1]
    assert done["bytes_written"] + done["bytes_skipped"] == 12 * MIB
    assert done["sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert (done["verified"], done["table_read"]) == (True, True)
    for name in ("source_bytes", "disk_bytes"):
        told = [event[name] for event in ran.events if event["event"] == "progress"]
        assert told == sorted(told)
        assert told[-1] == 12 * MIB


def test_a_dropped_connection_is_an_event(tmp_path: Path) -> None:
    data = small_image(tmp_path).read_bytes()
    # The first transfer is the look at the start.
    faults = [Fault(), Fault(drop_after=6 * MIB)]
    with ImageServer(data, faults=faults) as server:
        ran = flash(server.url, tmp_path / "disk", "--yes")
    assert ran.code == Exit.DONE
    (retry,) = [event for event in ran.events if event["event"] == "retrying"]
    assert list(retry) == ["event", *FIELDS["retrying"]]
    assert retry["source_bytes"] == 6 * MIB
    assert (tmp_path / "disk").read_bytes() == data


def test_a_failure_during_the_flash(tmp_path: Path) -> None:
    image = small_image(tmp_path)
    ran = flash(image, tmp_path / "disk", "--yes", "--sha256", "0" * 64)
    assert ran.code == Exit.INTEGRITY
    assert kinds(ran) == ["started", "progress", "failed"]
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    assert ran.events[-1] == {
        "event": "failed",
        "code": "digest-mismatch",
        "message": f"small.img has the digest sha256:{digest}, and --sha256 says sha256:{'0' * 64}",
        "hint": "fetch the image again, or correct the digest",
    }


@pytest.mark.parametrize(
    ("target", "options", "code", "event"),
    [
        ("file:disk", ["--yes"], Exit.UNREACHABLE, ("image-unavailable", "check the path")),
        ("file:.", ["--yes"], Exit.REFUSED, ("not-a-disk", None)),
        ("/dev/no-such-disk", ["--yes"], Exit.REFUSED, ("disk-not-found", None)),
        ("file:disk", [], Exit.USAGE, ("invalid-value", None)),
    ],
)
def test_a_failure_before_the_engine_starts_is_the_one_event(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    options: list[str],
    code: Exit,
    event: tuple[str, str | None],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--image", "no.img", "--target", target, *options, "--progress", "ndjson"]
    ran = bty("flash", *words)
    assert ran.code == code
    (failed,) = ran.events
    assert list(failed) == ["event", *FIELDS["failed"]]
    assert (failed["event"], failed["code"]) == ("failed", event[0])
    assert f"bty: {failed['message']}\n     hint: {failed['hint']}\n" in ran.err
    if event[1]:
        assert failed["hint"] == event[1]


@pytest.mark.parametrize(
    ("failure", "exit_code", "told"),
    [
        (KeyboardInterrupt, Exit.INTERRUPTED, {"code": "cancelled", "message": "interrupted"}),
        (
            lambda: RuntimeError("odd"),
            Exit.BUG,
            {"code": "error", "message": "RuntimeError: odd"},
        ),
        (
            lambda: CommandFailed("lsblk failed with status 1: odd"),
            Exit.BUG,
            {"code": "command-failed", "message": "lsblk failed with status 1: odd"},
        ),
    ],
)
def test_the_last_event_whatever_happens(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: Callable[[], BaseException],
    exit_code: Exit,
    told: dict[str, Any],
) -> None:
    def fails(*_: object) -> None:
        raise failure()

    monkeypatch.setattr(host, "find_disk", fails)
    ran = flash("no.img", tmp_path / "disk", "--yes")
    assert ran.code == exit_code
    assert ran.events == [{"event": "failed", **told, "hint": None}]


def test_a_dry_run_leaves_standard_output_to_the_events(tmp_path: Path) -> None:
    ran = flash(small_image(tmp_path), tmp_path / "disk", "--dry-run")
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert ran.err.startswith("image    ")
