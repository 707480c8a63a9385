"""Workflows by the API."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping

import pytest

from bty_web.models.words import Scope
from bty_web.services import workflows
from tests.fakes.bundles import tar
from tests.web.api.programs import Program
from tests.web.site import MAC, Site

TASK = "doc: |\n  Places a file.\nsteps:\n- name: place\n  run: |\n    touch $BTY_ROOTFS/placed\n"
OTHER = TASK.replace("placed", "other")
URL = "/workflows/place"


def zipped(files: Mapping[str, str]) -> bytes:
    """Return a zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.fixture
def program(site: Site) -> Program:
    """A program that may do everything."""
    return Program.of(site)


def put(program: Program, data: bytes, url: str = URL) -> tuple[int, dict[str, object]]:
    """Upload a workflow."""
    answer = program.ask("PUT", url, data=data)
    return answer.status_code, answer.json


def test_versions_are_counted_and_never_change(site: Site, program: Program) -> None:
    status, first = put(program, tar({"task.yaml": TASK, "config.toml": "a = 1\n"}))
    assert status == 201
    assert (first["version"], first["task"], first["config"], first["files"]) == (
        1,
        "task.yaml",
        "config.toml",
        2,
    )
    # Packed in another way, with a folder around it: the same files are the same version.
    again, same = put(program, zipped({"top/task.yaml": TASK, "top/config.toml": "a = 1\n"}))
    assert (again, same) == (200, first)
    status, second = put(program, tar({"task.yaml": OTHER}))
    assert (status, second["version"], second["config"]) == (201, 2, None)
    assert program.get(URL).json == {"items": [second, first]}
    assert program.get("/workflows").json == {"items": [second]}
    for one in (first, second):
        kept = workflows.path_of(site.settings.state_dir, str(one["sha256"]))
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
        assert len(kept.read_bytes()) == one["size_bytes"]


@pytest.mark.parametrize("pack", [tar, zipped])
def test_the_files_that_are_run_can_be_named(
    program: Program, pack: Callable[[Mapping[str, str]], bytes]
) -> None:
    data = pack({"a.yaml": TASK, "b.yaml": OTHER, "x.toml": "", "y.toml": ""})
    status, told = put(program, data)
    assert (status, told["field"]) == (422, "task")
    assert "exactly one task file (a YAML file with steps) at its top: a.yaml, b.yaml" in str(
        told["detail"]
    )
    status, told = put(program, data, f"{URL}?task=b.yaml")
    assert (status, told["field"]) == (422, "config")
    status, told = put(program, data, f"{URL}?task=b.yaml&config=y.toml")
    assert (status, told["task"], told["config"]) == (201, "b.yaml", "y.toml")
    status, told = put(program, data, f"{URL}?task=c.yaml&config=y.toml")
    assert (status, told["detail"]) == (422, "there is no file 'c.yaml' in the archive")


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return a member that leads elsewhere."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the body is empty"),
        (b"nonsense", "no archive that can be read"),
        (tar({"task.yaml": TASK})[:60], "no archive that can be read"),
        (tar({}), "the archive is empty"),
        (tar({"../task.yaml": TASK}), "no name that a file in it may have"),
        (tar({"/task.yaml": TASK}), "no name that a file in it may have"),
        (tar({"task.yaml": TASK}, link("evil", "/etc/passwd")), "is no plain file"),
        (tar({"task.yaml": TASK}, link("evil", "x", tarfile.CHRTYPE)), "is no plain file"),
        (tar({"task.yaml": TASK, "./task.yaml": TASK}), "is in it twice"),
        (tar({"bomb": bytes(65 << 20)}), "more than"),
        (tar({f"f{n}": "" for n in range(2001)}), "more than 2000 files"),
        (tar({"notes.txt": "hello"}), "exactly one task file"),
        (tar({"task.yaml": "steps:\n- name: x\n  uses: no.such.script\n"}), "cijoe refuses"),
        (tar({"task.yaml": TASK, "c.toml": "password = oops"}), "is not valid TOML"),
    ],
    ids=lambda value: "archive" if isinstance(value, bytes) else None,  # which has its time in it
)
def test_what_cannot_be_run_is_refused_and_nothing_is_kept(
    site: Site, program: Program, data: bytes, why: str
) -> None:
    status, told = put(program, data)
    assert status == 422, told
    assert why in str(told["detail"])
    assert "/tmp" not in str(told)
    assert program.get("/workflows").json == {"items": []}
    folder = site.settings.state_dir / workflows.FOLDER
    assert not folder.exists() or not list(folder.iterdir())


def test_one_that_is_assigned_stays(site: Site, program: Program) -> None:
    put(program, tar({"task.yaml": TASK}))
    site.add_machine(workflow="place@1")
    used = program.ask("DELETE", URL)
    assert (used.status_code, used.json["detail"]) == (
        409,
        f"the workflow place is assigned to {MAC}",
    )
    program.json("PATCH", f"/machines/{MAC}", {"workflow": None})
    assert program.ask("DELETE", URL).status_code == 204
    assert program.get(URL).status_code == 404
    assert not list((site.settings.state_dir / workflows.FOLDER).iterdir())


def test_a_machine_is_assigned_only_what_is_there(site: Site, program: Program) -> None:
    put(program, tar({"task.yaml": TASK}))
    site.add_machine()
    for reference, status in (("place", 200), ("place@1", 200), ("place@2", 422), ("other", 422)):
        answer = program.json("PATCH", f"/machines/{MAC}", {"workflow": reference})
        assert answer.status_code == status, answer.json


def test_uploading_needs_admin(site: Site) -> None:
    operator = Program.of(site, Scope.OPERATE)
    assert operator.ask("PUT", URL, data=tar({"task.yaml": TASK})).status_code == 403
    assert operator.ask("DELETE", URL).status_code == 403
    assert operator.get("/workflows").status_code == 200
