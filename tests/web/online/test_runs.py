"""The server's workflow on a machine that was flashed: a real sshd, a real cijoe in a real fence, each failure."""

from __future__ import annotations

import logging
import re
import shlex
import tarfile
from typing import Any

import pytest
from sqlalchemy import select

from bty_web.models import Access, Attempt, Event, Run
from bty_web.models.words import RunKind, RunState
from bty_web.online.log import tail
from bty_web.services import access, clock, machines, run_reports, runs, ssh_keys
from bty_web.services.vault import Vault
from tests.web.everywhere import everywhere
from tests.web.online.flow import (
    WAITS,
    flashed,
    one,
    opens,
    prepare,
    private_key,
    seeded,
    while_it_runs,
    worked,
)
from tests.web.online.own_system import ADDRESS, OwnSystem
from tests.web.pxe.walk import Boot
from tests.web.site import MAC, NOW, OPERATOR, Site

pytestmark = [pytest.mark.root, pytest.mark.netns]


def test_the_workflow_runs_and_a_baseline_is_kept_and_its_key_is_gone(
    site: Site, own_system: OwnSystem, tmp_path: Any
) -> None:
    prepare(site)
    run = flashed(site, own_system)
    assert "the workflow after its flash is under way" in site.contact()
    key = private_key(site)
    assert opens(site, own_system, key, tmp_path / "before") == "bty\n"
    done = worked(site, run)
    assert (done.state, done.message, done.hint) == (RunState.DONE, None, None)
    assert (done.address, done.access_left, done.steps) == (ADDRESS, False, 2)
    assert own_system.run("cat /tmp/placed") == f"made for {MAC}\n"
    assert done.facts is not None
    assert done.facts["packages"]["zsh"]
    assert (done.workflow, done.image, done.image_sha256) == ("proof@1", "debian.img", "a" * 64)
    assert done.workflow_sha256
    assert done.report_at is not None
    with pytest.raises(Exception, match="does not let bty in"):
        opens(site, own_system, key, tmp_path / "after")
    assert own_system.run("ls /etc/sudoers.d") == "README\n"
    left = [path.name for path in (site.settings.state_dir / "runs").rglob("*")]
    assert sorted(left) == [str(run.id), "cijoe.log"]
    with site.session() as session:
        assert one(session.scalars(select(Access)).all()).key is None
        attempt = session.get(Attempt, run.attempt_id)
        assert attempt is not None
        assert attempt.online_state == "done"
        kinds = [event.kind for event in session.scalars(select(Event))]
    assert "run.done" in kinds

    own_system.run(r"sed -i '/^Package: zsh$/,/^$/d' /var/lib/dpkg/status")
    with site.session() as session:
        machine = machines.get(session, MAC)
        check = runs.check_now(session, machine, by=OPERATOR, now=clock.now())
    checked = worked(site, check)
    assert (checked.state, checked.message) == (RunState.DONE, None)
    with site.session() as session:
        machine = machines.get(session, MAC)
        known, last = runs.baseline(session, machine), runs.last_check(session, machine)
        assert known is not None
        assert last is not None
        assert (known.id, last.id, last.kind) == (run.id, check.id, RunKind.CHECK)
        (change,) = runs.drift(last, known).changes
    assert (change.fact, change.after) == ("packages / zsh", None)


def test_no_secret_of_a_run_is_anywhere(
    site: Site, own_system: OwnSystem, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    prepare(site, WAITS)
    site.log_in()
    run = flashed(site, own_system)
    key = private_key(site)
    with site.session() as session:
        access.keep_profile(
            session,
            "other.img",
            user="root",
            port=22,
            key="",
            password="swordfish-7f3a",
            host_key="",
            vault=Vault(site.settings.state_dir),
            by=OPERATOR,
            now=NOW,
        )
    secrets = {
        "key": key.splitlines()[2].encode(),
        "host key": own_system.host.private.splitlines()[2].encode(),
        "password": b"swordfish-7f3a",
    }

    def look(when: str) -> None:
        found = [
            f"{when}: the {name} in {where}"
            for where, content in everywhere(site, tmp_path)
            for name, secret in secrets.items()
            if secret in content and not where.startswith(f"file runs/{run.id}/")
        ]
        assert found == []

    look("before")
    assert while_it_runs(site, run, lambda: look("while it runs")).state is RunState.DONE
    with site.session() as session:
        kept = one(session.scalars(select(Access)).all())
        check_key = Vault(site.settings.state_dir).open(kept.check_key)
    secrets["key for facts"] = check_key.splitlines()[2].encode()
    look("afterwards")
    assert not [name for name, secret in secrets.items() if secret.decode() in caplog.text]


def test_credentials_of_an_image_open_it_and_stay(
    site: Site, own_system: OwnSystem, tmp_path: Any
) -> None:
    prepare(site)
    pair = ssh_keys.make_pair()
    with site.session() as session:
        access.keep_profile(
            session,
            "debian.img",
            user="bty",
            port=22,
            key=pair.private,
            password="",
            host_key="",
            vault=Vault(site.settings.state_dir),
            by=OPERATOR,
            now=NOW,
        )
    boot = Boot.of(site, address=ADDRESS)
    told = boot.plan().get_json()["provisioning"]
    assert (told["mode"], told["user_data"], told["withheld"]) == ("cijoe-online", None, None)
    assert boot.done().status_code == 200
    own_system.start(pair.public)
    with site.session() as session:
        run = one(session.scalars(select(Run)).all())
        session.expunge(run)
    done = worked(site, run)
    assert (done.state, done.message, done.access_left) == (RunState.DONE, None, False)
    assert opens(site, own_system, pair.private, tmp_path / "after") == "bty\n"


def test_a_password_opens_it_too(site: Site, own_system: OwnSystem) -> None:
    prepare(site)
    password = 'it\'s a "pass" $word'
    with site.session() as session:
        access.keep_profile(
            session,
            "debian.img",
            user="bty",
            port=22,
            key="",
            password=password,
            host_key=own_system.host.public,
            vault=Vault(site.settings.state_dir),
            by=OPERATOR,
            now=NOW,
        )
    boot = Boot.of(site, address=ADDRESS)
    assert boot.plan().get_json()["provisioning"]["user_data"] is None
    assert boot.done().status_code == 200
    own_system.start("", config="PasswordAuthentication yes\n")
    own_system.run(f"printf 'bty:%s\\n' {shlex.quote(password)} | chpasswd -c SHA512")
    with site.session() as session:
        run = one(session.scalars(select(Run)).all())
        session.expunge(run)
    done = worked(site, run)
    assert (done.state, done.message) == (RunState.DONE, None)
    assert password not in tail(site.settings.state_dir, run.id)
    with tarfile.open(run_reports.of_run(site.settings.state_dir, run.id)) as tar:
        texts = [tar.extractfile(one).read() for one in tar if one.isreg()]  # type: ignore[union-attr]
    assert len(texts) > 5
    assert not [text for text in texts if b"$word" in text]
    assert done.access_left is False
    assert own_system.run("cat ~bty/.ssh/authorized_keys").strip() == ""


def test_the_next_attempt_takes_nothing_away_before_its_flash_is_done(
    site: Site, own_system: OwnSystem
) -> None:
    prepare(site)
    run = flashed(site, own_system)
    # Somebody opens a wizard in its name, looks, and goes away.
    url = f"/pxe/{MAC}"
    opened = site.client.post(f"{url}/attempts", json={"console": "tty1"}).get_json()
    headers = {"Authorization": f"Bearer {opened['token']}"}
    given = site.client.post(f"{url}/provisioning", json={}, headers=headers)
    assert given.get_json()["user_data"]
    assert worked(site, run).state is RunState.DONE
    with site.session() as session:
        machine = machines.get(session, MAC)
        check = runs.check_now(session, machine, by=OPERATOR, now=clock.now())
        assert (check.image, check.image_sha256) == ("debian.img", "a" * 64)
    assert worked(site, check).state is RunState.DONE
    own_system.stop()
    with site.session() as session:
        machines.get(session, MAC).local_served_at = None
    again = flashed(site, own_system)
    with site.session() as session:
        assert [kept.attempt_id for kept in session.scalars(select(Access))] == [again.attempt_id]
        assert not access.checkable(session, machines.get(session, MAC))


def test_keys_are_given_out_once_and_stand_in_no_row_and_no_event(site: Site) -> None:
    prepare(site)
    boot = Boot.of(site)
    config = seeded(boot)
    again = boot.plan().get_json()["provisioning"]
    assert again["user_data"] is None
    assert "was given out already" in again["withheld"]
    private = config["ssh_keys"]["ed25519_private"].split("\n")[1]
    with site.engine.connect() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert private not in dump
    assert "OPENSSH PRIVATE KEY" not in dump
    secret = re.sub(".*/up/", "", config["phone_home"]["url"])
    assert secret not in dump


def test_a_machine_says_from_where_it_is_up(site: Site) -> None:
    prepare(site)
    url = seeded(Boot.of(site))["phone_home"]["url"]
    path = re.sub(r"^http://[^/]+", "", url)
    wrong = site.client.post(path + "x", environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
    assert wrong.status_code == 404
    said = site.client.post(
        path, data={"instance_id": "i"}, environ_overrides={"REMOTE_ADDR": "192.0.2.8"}
    )
    assert said.status_code == 200
    with site.session() as session:
        assert one(session.scalars(select(Access)).all()).address == "192.0.2.8"
