"""`check`: every setting, its source, no secret, and whether the server can work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bty_web.exits import Exit
from bty_web.settings import DECLARED, Settings
from tests.web.cli.running import bty_web


def test_every_setting_has_a_value_and_a_source(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bty-web.yaml").write_text("threads: 64\nsecure_cookies: yes\n")
    monkeypatch.setenv("BTY_CONFIG", str(tmp_path / "bty-web.yaml"))
    monkeypatch.setenv("BTY_WORKERS", "3")
    lines = bty_web("check").out.partition("\n\n")[0].splitlines()
    assert [line.partition(" = ")[0] for line in lines] == list(DECLARED)
    told = [re.sub(" +", " ", line) for line in lines]
    assert {
        f"state_dir = {state} from BTY_STATE_DIR",
        f"image_root = {state}/images from state_dir",
        "workers = 3 from BTY_WORKERS",
        f"threads = 64 from {tmp_path}/bty-web.yaml",
        f"secure_cookies = yes from {tmp_path}/bty-web.yaml",
        "event_days = 90 from default",
        "dhcp_interface = (empty) from default",
    } <= {*told}


def test_what_is_set_up_is_fit_to_serve(settings: Settings) -> None:
    bty_web("init")
    ran = bty_web("check")
    assert ran.code == Exit.DONE
    assert ran.said[0].startswith("hint: live environment: upload one")
    looked = [line.split()[0] for line in ran.out.partition("\n\n")[2].splitlines()]
    assert set(looked) <= {"ok", "note"}
    assert "it can be reached; its revision is " in ran.out


def test_what_is_not_there_is_said_and_not_made(state: Path) -> None:
    ran = bty_web("check")
    assert ran.code == Exit.REFUSED
    assert ran.said[-1] == "bty-web: not fit to serve: folders, database, users, free space"
    assert not state.exists()


def test_passwords_are_not_shown(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BTY_DATABASE_URL", "postgresql://me:sesame@127.0.0.1:1/bty")
    monkeypatch.setenv("BTY_QUEUE_URL", "redis://:sesame@127.0.0.1:1/0")
    ran = bty_web("check")
    assert ran.code == Exit.REFUSED
    assert "sesame" not in ran.out + ran.err
    assert "database_url = postgresql+psycopg://me:***@127.0.0.1:1/bty" in ran.out
    assert "queue_url = redis://:***@127.0.0.1:1/0" in ran.out
    assert "the queue redis://:***@127.0.0.1:1/0 cannot be reached" in ran.out


@pytest.mark.parametrize("command", ["serve", "worker", "check"])
def test_a_broken_setting_is_a_sentence_with_a_hint(
    state: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("BTY_BIND", "everywhere")
    ran = bty_web(command)
    assert (ran.code, ran.out) == (Exit.REFUSED, "")
    assert ran.said == [
        "bty-web: bind (from BTY_BIND): 'everywhere' is not HOST:PORT, for example 0.0.0.0:8080",
        "hint: correct it; bty-web check shows every setting and its source",
    ]
    assert not state.exists()


def test_a_key_that_others_can_read_is_refused(settings: Settings) -> None:
    bty_web("init")
    key = settings.state_dir / "secret.key"
    key.chmod(0o644)
    said = [
        f"bty-web: the key {key} can be read by others (mode 0644)",
        f"hint: chmod 600 {key}; if others have read it, remove it so that a new one is made",
    ]
    assert (bty_web("serve").code, bty_web("serve").said) == (Exit.REFUSED, said)
    assert bty_web("check").said[-1] == "bty-web: not fit to serve: key"


def test_a_worker_of_its_own_needs_a_queue(settings: Settings) -> None:
    ran = bty_web("worker")
    assert (ran.code, ran.out) == (Exit.REFUSED, "")
    assert ran.said[0].endswith("BTY_QUEUE_URL is not set")
