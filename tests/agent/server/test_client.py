"""The client of the agent, against a real server and against one that misbehaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from bty_agent.exits import Exit, exit_for
from bty_agent.server.client import ServerClient
from bty_agent.server.errors import AttemptOver, ServerRefused, ServerUnreachable, TokenRefused
from bty_core.errors import BtyError, InvalidValue
from bty_core.machine.model import Firmware, Identity, Inventory, Nic
from bty_core.values import MacAddress
from bty_core.wire.plan import Mode
from bty_core.wire.reports import DoneReport, FailedReport, ProgressReport, ReportedPhase
from bty_web.models.words import State
from tests.agent.server.fleet import Fleet, fleet, words
from tests.agent.server.odd import Said, odd
from tests.web.site import MAC

WRITING = ProgressReport(phase=ReportedPhase.WRITING, disk_bytes=5, total_bytes=10)
DONE = DoneReport(image="debian.img", disk="/dev/sda", bytes_written=10, seconds=1.0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("server")) as made:
        made.add_image("debian.img", b"disk" * 1000)
        yield made


@pytest.fixture
def client(running: Fleet) -> ServerClient:
    """A client whose attempt is new."""
    found = ServerClient(running.url, MAC)
    found.open_attempt("tty1")
    return found


def inventory() -> Inventory:
    return Inventory(
        identity=Identity(vendor="Test", product="Box", serial="B1", uuid=None),
        firmware=Firmware.UEFI,
        cpu="Test CPU",
        memory_bytes=2**30,
        disks=(),
        nics=(Nic(name="eno1", mac=str(MAC)),),
    )


def test_the_catalog_is_what_the_server_offers(running: Fleet) -> None:
    client = ServerClient(f"{running.url}/", MAC)
    (offer,) = client.images()
    assert offer.name == "debian.img"
    assert offer.url == f"{running.url}/images/debian.img"


def test_an_attempt_goes_from_opened_to_done_and_may_then_set_the_policy(
    running: Fleet, client: ServerClient
) -> None:
    client.inventory(inventory())
    assert client.plan().mode is Mode.INTERACTIVE
    assert client.progress(WRITING).cancel is False
    assert running.attempt().id == client.attempt
    assert running.state() is State.RUNNING
    client.done(DONE)
    client.done(DONE)  # an answer that was lost is asked for again
    client.set_local()
    assert running.state() is State.DONE
    assert running.site.machine().boot_policy == "local"


def test_the_plan_of_a_boot_is_read_with_its_token(running: Fleet) -> None:
    mac = MacAddress.parse("52:54:00:00:00:01")
    said = words(running.boot(mac))
    client = ServerClient(said["server"], mac, token=said["token"], attempt=int(said["attempt"]))
    assert client.plan().attempt == int(said["attempt"])


def test_a_failure_reaches_the_server_and_ends_the_attempt(
    running: Fleet, client: ServerClient
) -> None:
    client.progress(WRITING)
    client.failed(FailedReport(code="write-failed", message="no", hint="h", log="line"))
    assert (running.state(), running.attempt().log) == (State.FAILED, "line")
    with pytest.raises(AttemptOver) as told:
        client.progress(WRITING)
    assert told.value.status == 409
    assert told.value.said == "attempt-ended"
    assert f"attempt {client.attempt} has ended" in told.value.message


def test_a_forged_token_is_refused(running: Fleet) -> None:
    running.boot()
    client = ServerClient(running.url, MAC, token="1-" + "0" * 32)
    with pytest.raises(TokenRefused) as told:
        client.progress(WRITING)
    assert told.value.hint == "boot the machine from the network again: it gets a new one"


def test_a_cancel_is_in_the_answer(running: Fleet, client: ServerClient) -> None:
    client.progress(WRITING)
    running.cancel()
    assert client.progress(WRITING).cancel is True


def test_an_answer_that_does_not_end_is_not_read_to_its_end() -> None:
    with odd(Said(body=b"x" * 2**20)) as server:
        client = ServerClient(server.url, MAC, token="1-secret", timeout=5)
        with pytest.raises(ServerUnreachable, match="does not end"):
            client.progress(WRITING)


def test_the_clock_of_the_server_is_known_after_any_answer() -> None:
    ahead = datetime.now(UTC) + timedelta(days=400)
    with odd(Said(headers={"Date": format_datetime(ahead, usegmt=True)}, body=[])) as server:
        client = ServerClient(server.url, MAC)
        assert client.clock_offset is None
        client.images()
    assert client.clock_offset is not None
    assert abs(client.clock_offset - timedelta(days=400)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        (Said(status=500), ServerUnreachable, "500 Internal Server Error"),
        (Said(status=503, body={"detail": "no database"}), ServerUnreachable, "no database"),
        (Said(status=429, body={"detail": "wait"}), ServerUnreachable, "wait"),
        (Said(body=b"<html>log in</html>"), ServerUnreachable, "is not JSON"),
        (Said(body=[]), ServerRefused, "must be a JSON object"),
        (Said(body={"mode": "dance"}), ServerRefused, "interactive, auto, local"),
        (Said(body={"mode": "auto"}, cut=3), ServerUnreachable, "broke off"),
        (Said(body={"mode": "auto"}, wait=5), ServerUnreachable, "nothing came"),
        (Said(body={"mode": "auto"}, drip=0.2), ServerUnreachable, "takes longer than 0.5 s"),
        (Said(status=302, headers={"Location": "http://evil/"}), ServerRefused, "another address"),
        (Said(status=401, body={"detail": "forged"}), TokenRefused, "forged"),
        (Said(status=404, body={"detail": "nobody"}), ServerRefused, "nobody"),
        (Said(status=409, body={"detail": "over"}), AttemptOver, "over"),
        (Said(status=422, body=b"rubbish"), ServerRefused, "422 Unprocessable"),
    ],
)
def test_a_server_that_misbehaves_is_named_by_what_it_does(
    said: Said, kind: type[BtyError], sentence: str
) -> None:
    with odd(said) as server:
        client = ServerClient(server.url, MAC, token="1-secret", timeout=0.5)
        started = time.monotonic()
        with pytest.raises(kind) as told:
            client.plan()
        assert type(told.value) is kind
        assert sentence in told.value.message
        assert "secret" not in f"{told.value.message} {told.value.hint}"
        assert time.monotonic() - started < 3
        assert len(server.asked) == 1
    assert exit_for(told.value) is (Exit.UNREACHABLE if kind is ServerUnreachable else Exit.REFUSED)


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with odd() as server:
        url = server.url
    with pytest.raises(ServerUnreachable, match="refused the connection"):
        ServerClient(url, MAC).images()


def test_proxies_of_the_environment_are_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    with odd(Said(body=[])) as server, odd(Said(body=[])) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        ServerClient(server.url, MAC).images()
        assert (len(server.asked), len(proxy.asked)) == (1, 0)
        client = ServerClient(server.url, MAC)
        client.proxies = True
        client.images()
        assert (len(server.asked), len(proxy.asked)) == (1, 1)


@pytest.mark.parametrize(
    "text", ["", "server", "ftp://server", "http://", "http://u:p@s", "http://s/?q"]
)
def test_an_address_that_is_none_is_refused_at_once(text: str) -> None:
    with pytest.raises(InvalidValue):
        ServerClient(text, MAC)


def test_a_token_goes_nowhere_when_an_attempt_is_opened(tmp_path: Path) -> None:
    with odd(Said(status=201, body={"attempt": 7, "token": "7-new"})) as server:
        client = ServerClient(server.url, MAC, token="1-old")
        client.open_attempt("ttyS0")
        assert server.tokens == [None]
        assert server.asked[0][2] == {"console": "ttyS0"}
        assert (client.attempt, client.token) == (7, "7-new")
