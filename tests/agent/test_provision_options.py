"""The options of provisioning: which belong together, and what is found before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bty_agent.exits import Exit
from tests.agent.running import Ran, bty, lines, small_image

SECRET = "correct-horse-battery"


def flash(folder: Path, *options: str | Path) -> Ran:
    image = folder / "small.img"
    if not image.exists():
        small_image(folder)
    target = f"file:{folder / 'disk'}"
    return bty("flash", "--image", image, "--target", target, *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--user-data", "x"),
            "--user-data belongs to --provision cloud-init",
        ),
        (
            ("--provision", "cijoe", "--meta-data", "x"),
            "--meta-data belongs to --provision cloud-init",
        ),
        (
            ("--provision", "cloud-init", "--cijoe-config", "x"),
            "--cijoe-config belongs to --provision cijoe",
        ),
        (("--cijoe-timeout", "60"), "--cijoe-timeout belongs to --provision cijoe"),
        (("--provision", "cloud-init"), "--provision cloud-init needs --user-data"),
        (("--provision", "cijoe"), "--provision cijoe needs --cijoe-workflow"),
        (
            ("--provision", "cijoe-online"),
            "--provision cijoe-online is done by a server, after the machine has booted its own system",
        ),
        (("--provision", "cijoe", "--cijoe-timeout", "1h"), "'1h' is no number of seconds"),
    ],
)
def test_options_that_do_not_fit_are_a_usage_error(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    ran = bty("flash", "--image", tmp_path / "no", "--target", "file:/no/disk", "--yes", *options)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert lines(ran.err)[0] == f"bty: {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"hostname: {SECRET}\n", "user-data has no first line that cloud-init knows"),
        (
            f"#cloud-config\npassword: [{SECRET}\n",
            "user-data is not valid YAML at line 3, column 1",
        ),
        (f"#cloud-config\na: *{SECRET}\n", "user-data is not valid YAML at line 2, column 4"),
        (f"#cloud-config\n- {SECRET}\n", "user-data is valid YAML, and no mapping"),
    ],
)
def test_bad_user_data_is_refused_before_anything_is_written_and_never_quoted(
    tmp_path: Path, text: str, said: str
) -> None:
    user_data = tmp_path / "user-data"
    user_data.write_text(text)
    ran = flash(
        tmp_path,
        *("--provision", "cloud-init", "--user-data", user_data, "--yes", "--progress", "ndjson"),
    )
    assert ran.code == Exit.REFUSED
    assert f"bty: {said}\n" in ran.err
    assert [event["event"] for event in ran.events] == ["failed"]
    assert ran.events[0]["code"] == "seed-refused"
    assert SECRET not in ran.out + ran.err
    assert not (tmp_path / "disk").exists()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    ran = flash(tmp_path, "--provision", "cloud-init", "--user-data", tmp_path / "no", "--yes")
    assert ran.code == Exit.REFUSED
    assert f"{tmp_path / 'no'} (user-data) is not there" in " ".join(ran.err.split())


def test_a_dry_run_shows_what_provisioning_would_do(tmp_path: Path) -> None:
    user_data, meta_data = tmp_path / "user-data", tmp_path / "meta-data"
    user_data.write_text(f"#cloud-config\npassword: {SECRET}\n")
    meta_data.write_text("instance-id: mine\nlocal-hostname: box\n")
    words = ("--provision", "cloud-init", "--user-data", user_data, "--meta-data", meta_data)
    ran = flash(tmp_path, *words, "--dry-run")
    assert ran.code == Exit.DONE
    assert (
        "then     seed cloud-init with user-data, meta-data with a new instance-id\n"
        "         in /var/lib/cloud/seed/nocloud-net of its root, or else in a partition CIDATA at the end\n"
    ) in ran.out
    assert "warning  the instance-id in meta-data is not used: each flash gets a new one" in ran.out
    plan = json.loads(flash(tmp_path, *words, "--dry-run", "--json").out)
    assert plan["provisioning"]["mode"] == "cloud-init"
    assert len(plan["provisioning"]["steps"]) == 2
    assert SECRET not in ran.out + ran.err + json.dumps(plan)
