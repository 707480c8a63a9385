"""A machine is flashed, and a worker does the run that follows: what the tests of runs share."""

from __future__ import annotations

import email
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import yaml
from sqlalchemy import select

from bty_web.jobs.work import Work
from bty_web.models import Access, Run
from bty_web.models.words import RunState
from bty_web.online.ssh import Way
from bty_web.services import runs
from bty_web.services.access import Door
from bty_web.services.ssh_keys import KeyPair
from bty_web.services.vault import Vault
from tests.web.online.own_system import ADDRESS, OwnSystem
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import Site

TASK = """
doc: Put a file there
steps:
- name: place
  run: |
    sudo -n cp /etc/hostname /tmp/seen
- name: look
  uses: look
"""
LOOK = """
import os
from pathlib import Path
def main(args, cijoe):
    assert not Path("/var/lib/bty").exists(), "it sees the state of servers"
    assert not Path(os.environ["HOME"]).parent.joinpath("bty").exists()
    err, _ = cijoe.run(f"test -s /tmp/seen && echo made for {os.environ['BTY_MAC']} >/tmp/placed")
    return err
"""
# A script of a workflow that waits until the test has put something beside it.
WAIT = """
import time
from pathlib import Path
def main(args, cijoe):
    while not Path("looked").exists():
        time.sleep(0.1)
    return 0
"""
WAITS = TASK + "- name: wait\n  uses: wait\n"
FAILS = "doc: Fails\nsteps:\n- name: first\n  run: 'true'\n- name: second\n  run: exit 3\n"
SLEEPS = "doc: Sleeps\nsteps:\n- name: long\n  run: sleep 600\n"


def prepare(site: Site, task: str = TASK) -> None:
    """Assign a workflow that the server runs after the flash."""
    add_live_environment(site)
    site.add_image()
    site.add_image("other.img")
    site.add_workflow("proof", {"task.yaml": task, "look.py": LOOK, "wait.py": WAIT})
    site.add_machine(
        name="build-7",
        image="debian.img",
        target="serial:S5Y1",
        boot_policy="flash",
        provisioning_mode="cijoe-online",
        workflow="proof",
    )


def seeded(boot: Boot) -> dict[str, Any]:
    """Return the part of the seed that lets the server in."""
    told = boot.plan().get_json()["provisioning"]
    assert (told["mode"], told["withheld"]) == ("cijoe-online", None)
    *_, part = email.message_from_string(told["user_data"]).walk()
    text = part.get_payload(decode=True)
    assert isinstance(text, bytes)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def flashed(site: Site, machine: OwnSystem, config: str = "") -> Run:
    """Let the machine be flashed, and start the system that cloud-init makes of its seed."""
    boot = Boot.of(site, address=ADDRESS)
    config_of_seed = seeded(boot)
    assert boot.done().status_code == 200
    keys = config_of_seed["ssh_keys"]
    host = KeyPair(private=keys["ed25519_private"], public=keys["ed25519_public"])
    user = next(one for one in config_of_seed["users"] if one != "default")
    machine.start(user["ssh_authorized_keys"][0], host=host, config=config)
    with site.session() as session:
        found: Run = one(session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).all())
        return found


def one(found: Any) -> Any:
    (it,) = found
    return it


def worked(site: Site, run: Run, stop: threading.Event | None = None) -> Run:
    """Let a worker do the run's job; return it as it is afterwards."""
    work = Work(site.settings, site.engine, stop or threading.Event())
    assert run.job_id is not None
    work.perform(run.job_id)
    work.close(drop=False)
    return row(site, run.id)


def row(site: Site, number: int) -> Run:
    with site.session() as session:
        found = runs.get(session, number)
        session.expunge(found)
        return found


def opens(site: Site, machine: OwnSystem, key: str, folder: Any) -> str:
    """Log in with a key."""
    folder.mkdir(exist_ok=True)
    door = Door(user="bty", key=key, host_key=machine.host.public)
    return Way(folder, door, ADDRESS).run("id -un", timeout=20)


def private_key(site: Site) -> str:
    """Return the attempt's key, while it is kept."""
    with site.session() as session:
        kept = one(session.scalars(select(Access)).all())
        return Vault(site.settings.state_dir).open(kept.key)


def while_it_runs(
    site: Site, run: Run, then: Callable[[], None], stop: threading.Event | None = None
) -> Run:
    """Do `then` as soon as the workflow runs; the workflow has to last until then."""

    def wait() -> None:
        try:
            while (now := row(site, run.id)).state is not RunState.RUNNING or not now.step:
                assert now.ended_at is None, f"it ended before: {now.message}"
                time.sleep(0.1)
            then()
        finally:
            with suppress(FileNotFoundError):  # it has ended
                (site.settings.state_dir / "runs" / str(run.id) / "inside/looked").touch()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        found = worked(site, run, stop)
        waiting.result()
    return found
