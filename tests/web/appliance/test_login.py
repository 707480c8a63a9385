"""Yes or no, for one user, to those who may ask; with the machine's real PAM and services of the test's own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bty_web.appliance.pam import LONGEST, Pam, PamBroken
from bty_web.services import appliance
from bty_web.services.appliance import HelperSilent
from tests.web.appliance.helper import DELAY, answering


def test_the_right_password_and_no_other_one(run_folder: Path, pam_folder: Path) -> None:
    with answering(run_folder, Pam(folder=pam_folder).accepts):
        assert appliance.password_is_right(run_folder, "right horse")
        for wrong in ("wrong", "right horse ", "", "right horse\0", "x" * 5000, "ü"):
            assert not appliance.password_is_right(run_folder, wrong)


def test_pam_is_asked_for_the_user_and_knows_no_other(pam_folder: Path) -> None:
    pam = Pam(folder=pam_folder)
    assert pam.accepts("bty", "right horse")
    assert not pam.accepts("root", "right horse")
    assert not pam.accepts("bty", "x" * (LONGEST + 1))


def test_an_account_that_pam_closes_stays_out(pam_folder: Path) -> None:
    service = pam_folder / "bty-web"
    service.write_text(
        service.read_text().replace("account required pam_permit", "account required pam_deny")
    )
    assert not Pam(folder=pam_folder).accepts("bty", "right horse")


def test_a_broken_pam_is_no_wrong_password(tmp_path: Path, run_folder: Path) -> None:
    folder = tmp_path / "broken.d"
    folder.mkdir()
    (folder / "bty-web").write_text("auth required pam_none_such.so\n")
    with pytest.raises(PamBroken, match="PAM cannot check passwords: "):
        Pam(folder=folder).accepts("bty", "right horse")
    with (
        answering(run_folder, Pam(folder=folder).accepts),
        pytest.raises(HelperSilent, match="the password of bty cannot be checked"),
    ):
        appliance.password_is_right(run_folder, "right horse")


def test_a_wrong_password_takes_its_time_however_fast_it_was_found_out(run_folder: Path) -> None:
    with answering(run_folder, lambda _user, password: password == "right"):
        for word in ("wrong", "right"):
            began = time.monotonic()
            right = appliance.password_is_right(run_folder, word)
            took = time.monotonic() - began
            assert (took < DELAY) is right, took


@pytest.mark.root
def test_nobody_else_may_ask(
    run_folder: Path, pam_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asker = (
        "import socket, sys\n"
        "line = socket.socket(socket.AF_UNIX)\n"
        "line.connect(sys.argv[1])\n"
        "try:\n"
        '    line.sendall(b\'{"password": "right horse"}\\n\')\n'
        "    print(line.recv(100))\n"
        "except OSError:\n"
        "    print('hung up')\n"
    )
    path = run_folder / appliance.LOGIN
    with answering(run_folder, Pam(folder=pam_folder).accepts, asking=frozenset({12345})):
        asked = subprocess.run(
            [sys.executable, "-c", asker, path], capture_output=True, text=True, timeout=60
        )
    assert asked.stdout in ("b''\n", "hung up\n"), asked.stderr
    said = capfd.readouterr().err
    assert said == "bty-appliance: a question could not be answered: the user 0 may not ask\n"


@pytest.mark.parametrize(
    "question",
    [b"", b"\n", b"{}\n", b"secret", b'"secret"\n', b'{"password": 1}\n', b"[" * 9999 + b"\n"],
)
def test_what_is_no_question_gets_no_answer_and_is_not_repeated(
    run_folder: Path, question: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with answering(run_folder, lambda *_: True), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(run_folder / appliance.LOGIN))
        line.sendall(question)
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b""
    assert "secret" not in capfd.readouterr().err


def test_many_ask_at_once(run_folder: Path) -> None:
    running: list[int] = []

    def accepts(_user: str, password: str) -> bool:
        running.append(1)
        assert len(running) == 1  # PAM is not for two at once
        time.sleep(0.01)
        running.pop()
        return password.startswith("right")

    found: dict[str, bool] = {}

    def ask(word: str) -> None:
        found[word] = appliance.password_is_right(run_folder, word)

    words = [f"{word} {at}" for at in range(10) for word in ("right", "wrong")]
    with answering(run_folder, accepts):
        threads = [threading.Thread(target=ask, args=(word,)) for word in words]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {word: word.startswith("right") for word in words}


def test_it_ends_when_nobody_asks(run_folder: Path) -> None:
    with answering(run_folder, lambda *_: True) as thread:
        thread.join(10)
        assert not thread.is_alive()


def test_who_listens_and_says_nothing_is_given_up(run_folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(run_folder / appliance.LOGIN))
        listening.listen(1)

        def hang_up() -> None:
            line, _ = listening.accept()
            line.sendall(json.dumps({"answer": 1}).encode())
            line.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(HelperSilent):
            appliance.password_is_right(run_folder, "right")
        thread.join()


def test_a_socket_that_is_not_there_says_where_to_look(run_folder: Path) -> None:
    with pytest.raises(HelperSilent) as failure:
        appliance.password_is_right(run_folder, "right")
    assert failure.value.hint == (
        "on the server: systemctl status bty-login.socket bty-login.service"
    )
