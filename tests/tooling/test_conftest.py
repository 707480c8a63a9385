"""The walls hold: planted mistakes fail, and what is not proven is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_core.proc import run
from tests.conftest import MakeLoop

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("root", "loop", "netns", "dnsmasq", "postgresql", "qemu", "vm", "browser")

OPEN_A_DISK = """
import os, threading
import pytest

DISK = {disk!r}

{mark}
def test_planted():
    {code}
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project that uses this conftest, in a process of its own: hooks stay for ever."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("BTY_REQUIRE", raising=False)
    monkeypatch.delenv("BTY_COUNTS", raising=False)
    pytester.makeini("[pytest]\nmarkers =\n" + "".join(f"    {mark}\n" for mark in MARKS))
    return pytester


def ran(inner: pytest.Pytester) -> pytest.RunResult:
    return inner.runpytest_subprocess("-p", "tests.conftest", "-rN")


def a_block_device() -> str:
    """Return the node of any block device; opening it is what the guard has to prevent."""
    found = [node for node in sorted(Path("/dev").iterdir()) if node.is_block_device()]
    if not found:
        pytest.skip("no block device in /dev")
    return str(found[0])


WAYS = {
    "open": "open(DISK, 'r+b', buffering=0)",
    "os.open": "os.open(DISK, os.O_RDWR | os.O_EXCL)",
    "path": "__import__('pathlib').Path(DISK).open('wb')",
    "link": "os.symlink(DISK, 'link'); os.open('link', os.O_WRONLY)",
    "swallowed": "\n    try: os.open(DISK, os.O_RDWR)\n    except Exception: pass",
    "thread": (
        "\n    def work():"
        "\n        try: os.open(DISK, os.O_RDWR)"
        "\n        except Exception: pass"
        "\n    t = threading.Thread(target=work); t.start(); t.join()"
    ),
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS.keys())
def test_opening_a_disk_for_writing_fails_the_test(inner: pytest.Pytester, code: str) -> None:
    disk = a_block_device()
    inner.makepyfile(OPEN_A_DISK.format(disk=disk, mark="", code=code))
    result = ran(inner)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r".*RealDisk: .* opened for writing without the loop mark"])


def test_a_fixture_is_watched_too(inner: pytest.Pytester) -> None:
    disk = a_block_device()
    inner.makepyfile(
        f"""
        import os, pytest

        @pytest.fixture
        def late():
            yield
            try: os.open({disk!r}, os.O_RDWR)
            except Exception: pass

        def test_planted(late): pass
        """
    )
    ran(inner).assert_outcomes(passed=1, errors=1)


def test_reading_a_disk_and_writing_a_file_are_allowed(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        f"""
        import os

        def test_planted(tmp_path):
            try: os.close(os.open({a_block_device()!r}, os.O_RDONLY))
            except OSError: pass
            (tmp_path / "file").write_bytes(b"x")
            os.close(os.open("/dev/null", os.O_RDWR))
        """
    )
    ran(inner).assert_outcomes(passed=1)


@pytest.mark.root
@pytest.mark.loop
def test_the_loop_mark_allows_no_other_disk(inner: pytest.Pytester) -> None:
    nodes = [node for node in sorted(Path("/dev").iterdir()) if node.is_block_device()]
    others = [node for node in nodes if not node.name.startswith("loop")]
    if not others:
        pytest.skip("no block device in /dev but loop devices")
    mark = "@pytest.mark.loop"
    inner.makepyfile(OPEN_A_DISK.format(disk=str(others[0]), mark=mark, code=WAYS["os.open"]))
    result = ran(inner)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r".*RealDisk: .* opened for writing: is no loop device"])


@pytest.mark.root
@pytest.mark.loop
def test_the_loop_mark_allows_a_loop_device(loop_disk: Path) -> None:
    with loop_disk.open("r+b", buffering=0) as disk:
        assert disk.write(b"\x01" * 4096) == 4096
        disk.seek(0)
        assert disk.read(8192) == b"\x01" * 4096 + b"\xff" * 4096


@pytest.mark.root
@pytest.mark.loop
def test_loop_disks_are_what_was_asked_for(make_loop: MakeLoop) -> None:
    small, large = make_loop(3 << 20), make_loop(5 << 20, sector=4096, read_only=True, blank=True)
    assert small.read_bytes() == b"\xff" * (3 << 20)
    assert large.read_bytes() == bytes(5 << 20)
    asked = ["lsblk", "--noheadings", "--nodeps", "--bytes", "--output", "SIZE,LOG-SEC,RO"]
    assert run([*asked, small], timeout=10).split() == [str(3 << 20), "512", "0"]
    assert run([*asked, large], timeout=10).split() == [str(5 << 20), "4096", "1"]


@pytest.mark.root
@pytest.mark.loop
def test_loop_disks_are_detached_though_the_test_failed(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import pytest

        @pytest.mark.loop
        def test_planted(make_loop):
            print("attached", make_loop(1 << 20))
            assert False
        """
    )
    result = ran(inner)
    result.assert_outcomes(failed=1)
    listed = run(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"], timeout=10)
    assert str(inner.path) not in listed


PLANTED = """
import pytest
import tests.capabilities

def missing(): return "no such thing on this machine"

for capability in tests.capabilities.CAPABILITIES:
    if capability.mark in ("vm", "browser"):
        object.__setattr__(capability, "why_not", missing)
"""


def test_a_skip_is_said_with_its_reason_and_number(inner: pytest.Pytester) -> None:
    inner.makeconftest(PLANTED)
    inner.makepyfile(
        """
        import pytest

        @pytest.mark.vm
        @pytest.mark.parametrize("n", [1, 2])
        def test_boot(n): pass

        def test_other(): pytest.skip("no moon tonight")
        """
    )
    result = ran(inner)
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(
        [
            "NOT PROVEN in this run: no moon tonight (1 test)",
            "NOT PROVEN in this run: vm: no such thing on this machine (2 tests)",
        ]
    )


@pytest.mark.parametrize("promised", ["vm,loop", "browser"])
def test_bty_require_turns_the_skip_into_a_failure(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, promised: str
) -> None:
    inner.makeconftest(PLANTED)
    inner.makepyfile(
        """
        import pytest

        @pytest.mark.browser
        @pytest.mark.vm
        def test_boot(): pass
        """
    )
    monkeypatch.setenv("BTY_REQUIRE", promised)
    result = ran(inner)
    result.assert_outcomes(errors=1)
    said = f"BTY_REQUIRE asks for {promised.partition(',')[0]}: no such thing on this machine"
    result.stdout.fnmatch_lines([said])


def test_bty_require_knows_its_words(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner.makepyfile("def test_nothing(): pass")
    monkeypatch.setenv("BTY_REQUIRE", "lop")
    result = ran(inner)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*BTY_REQUIRE asks for lop; known are browser, dnsmasq, efibootmgr, exfat, loop, netns,*"]
    )


def test_the_counts_are_left_for_the_closing_lines(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inner.makepyfile(
        "import pytest\ndef test_a(): pass\ndef test_b(): pass\ndef test_c(): pytest.skip('why')"
    )
    counts = tmp_path / "counts.json"
    monkeypatch.setenv("BTY_COUNTS", str(counts))
    ran(inner)
    assert (
        counts.read_text() == '{"passed": 2, "failed": 0, "error": 0, "skipped": 1, "xfailed": 0}'
    )
