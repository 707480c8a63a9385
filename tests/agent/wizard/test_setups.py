"""What a stick offers to set up on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_agent.wizard.offers import NOTHING, Setup
from bty_agent.wizard.setups import local_setups, provisioner_of
from bty_core.provisioning.errors import SeedRefused, WorkflowRefused
from bty_core.wire.plan import ProvisioningMode

TASK = "doc: Places a file.\nsteps:\n- name: place\n  run: |\n    touch $BTY_ROOTFS/placed\n"


def folder(root: Path, kind: str, name: str, **files: str) -> Path:
    """Make a folder with files; ``_`` in a name stands for a dot."""
    made = root / kind / name
    made.mkdir(parents=True)
    for file, content in files.items():
        (made / file.replace("_", ".").replace("user.data", "user-data")).write_text(content)
    return made


def test_folders_are_offered_and_nothing_is_the_first(tmp_path: Path) -> None:
    assert local_setups(tmp_path) == (NOTHING,)
    assert local_setups(tmp_path / "gone") == (NOTHING,)
    lab = folder(tmp_path, "seeds", "lab", user_data="#cloud-config\n")
    folder(tmp_path, "seeds", ".hidden")
    (tmp_path / "seeds" / "notes.txt").write_text("no folder")
    place = folder(tmp_path, "workflows", "place", task_yaml=TASK)
    assert local_setups(tmp_path) == (
        NOTHING,
        Setup(ProvisioningMode.CLOUD_INIT, "lab", lab),
        Setup(ProvisioningMode.CIJOE, "place", place),
    )


def test_each_is_read_and_checked(tmp_path: Path) -> None:
    folder(tmp_path, "seeds", "lab", user_data="#cloud-config\nhostname: box\n")
    folder(tmp_path, "workflows", "place", task_yaml=TASK, lab_toml="a = 1\n")
    none, seed, workflow = map(provisioner_of, local_setups(tmp_path))
    assert none is None
    assert seed is not None
    assert seed.mode is ProvisioningMode.CLOUD_INIT
    assert workflow is not None
    assert "workflows/place/task.yaml" in workflow.steps[0]


@pytest.mark.parametrize(
    ("kind", "files", "refused", "why"),
    [
        ("seeds", {}, SeedRefused, "has no file user-data"),
        ("seeds", {"user_data": "hello"}, SeedRefused, "first line"),
        ("workflows", {}, WorkflowRefused, r"not exactly one task \(.yaml or .yml\): none"),
        ("workflows", {"a_yaml": TASK, "b_yaml": TASK}, WorkflowRefused, "a.yaml, b.yaml"),
        ("workflows", {"a_yaml": "steps: []\n"}, WorkflowRefused, "has no steps"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, kind: str, files: dict[str, str], refused: type[Exception], why: str
) -> None:
    folder(tmp_path, kind, "one", **files)
    with pytest.raises(refused, match=why):
        provisioner_of(local_setups(tmp_path)[1])
