"""Provisioning by a CIJOE workflow that works on the mounted root filesystem of the disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bty_core import proc
from bty_core.errors import CommandFailed, ProgramMissing, Refused
from bty_core.flash.plan import FlashPlan
from bty_core.provisioning.cijoe_state import Step, failed_steps, last_begun, read_steps
from bty_core.provisioning.devices import settle
from bty_core.provisioning.errors import (
    NoRootInImage,
    RootNotFound,
    WorkflowFailed,
    WorkflowRefused,
)
from bty_core.provisioning.job import Job
from bty_core.provisioning.limits import CIJOE_REPORTS, CIJOE_TIMEOUT
from bty_core.provisioning.namespace import with_private_mounts
from bty_core.provisioning.partitions import read_contents
from bty_core.provisioning.root_filesystem import Root, find_roots, may_have_root
from bty_core.provisioning.safely import Tree
from bty_core.values import MacAddress
from bty_core.wire.plan import ProvisioningMode

_CHECK_TIMEOUT = 120.0
# What a person configures has the last word: cijoe takes the later of two files.
_SETTINGS = "[cijoe.task]\nfail_fast = true\n"
_INSTALL = "install it beside bty: pip install 'bty-agent[cijoe]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow that cijoe has found fit to run, and how to run it."""

    program: Path
    path: Path  # absolute
    config: Path | None  # absolute


@dataclass(frozen=True, slots=True, kw_only=True)
class Cijoe:
    """Runs a workflow with BTY_ROOTFS, BTY_DISK, BTY_IMAGE, and BTY_MAC where it is known."""

    workflow: Workflow
    mac: MacAddress | None = None  # of the machine
    timeout: float = CIJOE_TIMEOUT  # seconds, for all of it
    reports: Path = CIJOE_REPORTS  # gets a folder for each run

    @property
    def mode(self) -> ProvisioningMode:
        return ProvisioningMode.CIJOE

    @property
    def steps(self) -> tuple[str, ...]:
        return (
            f"run the CIJOE workflow {self.workflow.path} on its root filesystem,"
            f" for at most {self.timeout:g} s",
            f"keep the report in a new folder in {self.reports}",
        )

    def warnings(self, _plan: FlashPlan, /) -> list[str]:
        return []

    def refusals(self, plan: FlashPlan, /) -> list[Refused]:
        table = plan.image.table
        if table is None or may_have_root(table):
            return []
        return [
            NoRootInImage(
                f"{plan.image.name} has no partition for a Linux root filesystem that bty mounts",
                hint="choose an image with ext4, xfs or btrfs, outside of LVM and LUKS",
            )
        ]

    def run(self, job: Job) -> str:
        said = with_private_mounts(lambda: self._run(job), job.cancel)
        settle(job.disk.path)
        return said

    def _run(self, job: Job) -> str:
        job.tell("looking for the root filesystem")
        contents = read_contents(job.disk.path)
        search = find_roots(
            contents.volumes, contents.sector, _is_root, "has no os-release in /etc"
        )
        if not search.roots:
            raise RootNotFound(
                f"{job.disk.path} has no root filesystem for the workflow: {search.why_none}",
                hint="bty mounts ext4, xfs and btrfs, on a partition or on the whole disk",
            )
        job.go_on()
        root = search.roots[0]
        folder = _new_folder(self.reports.absolute(), job.disk.path.name)
        with root.opened(writable=True) as (point, _):
            self._run_on(root, point, folder, job)
        return f"the workflow {self.workflow.path.name} has run on {root}; its report: {folder}"

    def _run_on(self, root: Root, point: Path, folder: Path, job: Job) -> None:
        job.tell(f"running {self.workflow.path.name} on {root}")
        settings = folder / "bty.toml"
        settings.write_text(_SETTINGS)
        output = folder / "output"
        argv: list[str | Path] = [self.workflow.program, self.workflow.path, "--config", settings]
        if self.workflow.config is not None:
            argv += ["--config", self.workflow.config]
        around = proc.Surroundings(
            folder=self.workflow.path.parent,
            variables=self._variables(point, job),
            log=folder / "cijoe.log",
        )
        told = 0

        def look() -> None:
            nonlocal told
            job.go_on()
            now = next((step for step in reversed(read_steps(output)) if step.started), None)
            if now is not None and now.number != told:
                told = now.number
                job.tell(f"step {now.name}", now.number, now.of)

        argv += ["--output", output]
        status = proc.watch(argv, around, look, timeout=self.timeout)
        if status != 0:
            raise self._failed(status, folder, read_steps(output))

    def _variables(self, point: Path, job: Job) -> Mapping[str, str]:
        known = {
            "BTY_ROOTFS": str(point),
            "BTY_DISK": str(job.disk.path),
            "BTY_IMAGE": job.image,
        }
        return known | ({"BTY_MAC": str(self.mac)} if self.mac else {})

    def _failed(self, status: int | None, folder: Path, steps: list[Step]) -> WorkflowFailed:
        name = self.workflow.path.name
        if status is None:
            return WorkflowFailed(
                f"the workflow {name} did not end within {self.timeout:g} s{last_begun(steps)}",
                hint=f"its output is in {folder}; --cijoe-timeout gives it more time",
            )
        if failed := failed_steps(steps):
            first = next(step for step in steps if step.failed)
            return WorkflowFailed(
                f"{failed}, of the workflow {name} failed",
                hint=f"its output is in {folder / 'output' / first.id},"
                f" the report is {folder / 'output' / 'report.html'}",
            )
        return WorkflowFailed(
            f"the workflow {name} failed outside its steps, with status {status}",
            hint=f"cijoe's words are in {folder / 'cijoe.log'}",
        )


def find_cijoe() -> Path:
    """Return cijoe of the environment that bty is in, or of the system; raise `ProgramMissing`."""
    beside = Path(sys.executable).with_name("cijoe")
    if os.access(beside, os.X_OK):
        return beside
    try:
        return Path(proc.find("cijoe"))
    except ProgramMissing:
        raise ProgramMissing("cijoe is not installed", hint=_INSTALL) from None


def read_workflow(path: Path, config: Path | None) -> Workflow:
    """Have cijoe check a workflow; raise `WorkflowRefused`, or `ProgramMissing`."""
    _readable(path, "the workflow")
    if config is not None:
        _readable(config, "the configuration")
        _check_toml(config)
    _check_yaml(path)
    found = Workflow(
        program=find_cijoe(), path=path.resolve(), config=config.resolve() if config else None
    )
    argv: list[str | Path] = [found.program, "--integrity-check", found.path]
    # It wants a configuration in any case.
    argv += ["--config", found.config or "/dev/null"]
    try:
        proc.run(argv, timeout=_CHECK_TIMEOUT, folder=found.path.parent)
    except CommandFailed as error:
        raise WorkflowRefused(
            f"cijoe refuses the workflow {path}: {_complaint(error.message)}",
            hint="cijoe --integrity-check says the same",
        ) from None
    return found


def _complaint(said: str) -> str:
    """Return what cijoe complains of, out of its log lines, or of the last words of a traceback."""
    if "ERROR:" not in said:
        return said.rpartition("Traceback")[2][-200:].strip()
    lines = [line.partition("(): ")[2].strip() for line in said.split("ERROR:")[1:]]
    return "; ".join(line for line in lines if line and not line.startswith("failed: 'see"))


def _readable(path: Path, what: str) -> None:
    try:
        if not path.is_file():
            why = "is no regular file" if path.exists() else "is not there"
            raise WorkflowRefused(f"{what} {path} {why}")
        path.open("rb").close()
    except OSError as error:
        raise WorkflowRefused(f"{what} {path} cannot be read: {error.strerror}") from error


def _check_toml(path: Path) -> None:
    import tomllib

    try:
        tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # Its own words may quote a password.
        place = "is not valid TOML"
    else:
        return
    raise WorkflowRefused(f"the configuration {path} {place}", hint="cijoe reads TOML files")


def _check_yaml(path: Path) -> None:
    import yaml

    found: Any = None
    place = ""
    try:
        found = yaml.safe_load(path.read_text())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else " anywhere"
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        place = " anywhere"
    if place:
        raise WorkflowRefused(f"the workflow {path} is not valid YAML{place}")
    if not isinstance(found, dict) or not found.get("steps"):
        raise WorkflowRefused(f"the workflow {path} has no steps")


def _is_root(inside: Tree) -> bool:
    return inside.has_file("etc/os-release") or inside.has_file("usr/lib/os-release")


def _new_folder(reports: Path, disk: str) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{disk}"
    for number in range(1, 1000):
        folder = reports / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir(parents=True, mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise WorkflowFailed(
                f"the report cannot be kept in {reports}: {error.strerror}",
                hint="name another folder with --cijoe-output",
            ) from error
        return folder
    raise WorkflowFailed(f"{reports} is full of reports")
