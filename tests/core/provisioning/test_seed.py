"""Which user-data cloud-init would understand, and that no message repeats what is in it."""

from __future__ import annotations

import gzip
import traceback
from pathlib import Path

import pytest
import yaml

from bty_core.provisioning.errors import SeedRefused
from bty_core.provisioning.seed import LARGEST, Seed, read_seed

SECRET = "correct-horse-battery"


def mime(*parts: tuple[str, str], boundary: str = "==b==") -> bytes:
    """Return a MIME multi-part of (content type, text)."""
    lines = [f'Content-Type: multipart/mixed; boundary="{boundary}"', "MIME-Version: 1.0", ""]
    for kind, text in parts:
        lines += ["--==b==", f"Content-Type: {kind}", "", text]
    return "\n".join([*lines, "--==b==--", ""]).encode()


@pytest.mark.parametrize(
    "user_data",
    [
        b"#cloud-config\nhostname: box\n",
        b"#cloud-config\n",
        b"#cloud-config\r\nhostname: box\r\n",
        b"#!/bin/sh\necho hi\n",
        b"#!/usr/bin/env python3\n",
        b"## template: jinja\n#cloud-config\nhostname: {{ v1.region }}\n",
        b"## template: jinja\n#!/bin/sh\n",
        b"#include\nhttps://example.org/a\n\n# a word\nhttp://example.org/b\n",
        b"#include-once\nhttps://example.org/a\n",
        b"#cloud-boothook\n#!/bin/sh\n",
        b"#part-handler\ndef list_types(): ...\n",
        b"#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    a: b\n- '#!/bin/sh'\n",
        mime(("text/cloud-config", "a: b"), ("text/x-shellscript", "#!/bin/sh")),
        mime(("text/plain", "#cloud-config\na: b"), ("text/jinja2", "#cloud-config\na: {{ b }}")),
        mime(("text/x-own", "anything"), ("text/part-handler", "#part-handler")),
        b"MIME-Version: 1.0\nContent-Type: text/cloud-config\n\na: b\n",
        gzip.compress(b"#cloud-config\nhostname: box\n", mtime=0),
    ],
)
def test_understood(user_data: bytes) -> None:
    seed = Seed.of(user_data)
    wanted = gzip.decompress(user_data) if user_data[:2] == b"\x1f\x8b" else user_data
    assert seed.files()["user-data"] == wanted


@pytest.mark.parametrize(
    ("user_data", "said"),
    [
        ("", "user-data is empty"),
        (f"password: {SECRET}\n", "user-data has no first line that cloud-init knows"),
        (f"\n#cloud-config\npassword: {SECRET}\n", "user-data has no first line"),
        (f"# cloud-config\npassword: {SECRET}\n", "user-data has no first line"),
        (f" #cloud-config\npassword: {SECRET}\n", "user-data has no first line"),
        (f"\ufeff#cloud-config\npassword: {SECRET}\n", "user-data begins with a byte order mark"),
        (f"#cloud-config\npassword: [{SECRET}\n", "not valid YAML at line 3, column 1"),
        (f"#cloud-config\n\tpassword: {SECRET}\n", "not valid YAML at line 2, column 1"),
        (f"#cloud-config\npassword: *{SECRET}\n", "not valid YAML at line 2, column 11"),
        (f"#cloud-config\npassword: !{SECRET} x\n", "not valid YAML at line 2, column 11"),
        (f"#cloud-config\n{SECRET}\n", "user-data is valid YAML, and no mapping"),
        ("#cloud-config\nday: 2026-99-99\n", "user-data is not valid YAML"),
        ("#cloud-config\n" + "[" * 5000, "user-data is not valid YAML"),
        ("#!/bin/sh\r\n", "user-data is a script with the line ends of Windows"),
        ("#!sh\n", "user-data is a script, and its first line names no interpreter"),
        (f"## template: jinja\n{SECRET}\n", "below ## template: jinja, has no first line"),
        (f"#include\n{SECRET}\n", "line 2 of user-data is no address to include"),
        (f"#cloud-config-archive\n- {SECRET}\n", "part 1 of user-data has no first line"),
        ("#cloud-config-archive\n- type: text/cloud-config\n", "part 1 of user-data has no text"),
        ("#cloud-config-archive\na: b\n", "user-data is an archive, and no list of parts"),
        (mime(("text/cloud-config", f"a: [{SECRET}")).decode(), "part 1 of user-data is not valid"),
        (
            mime(("text/cloud-config", "a: b"), ("text/x-shellscript", SECRET)).decode(),
            "part 2 of user-data is a script without #!",
        ),
        (mime(("text/own", SECRET)).decode(), "part 1 of user-data has a content type"),
        (mime(("text/plain", SECRET)).decode(), "part 1 of user-data has no first line"),
        (mime(("text/plain", "x"), boundary="other").decode(), "MIME multi-part without parts"),
        (f"#cloud-config\n\0{SECRET}", "user-data is no UTF-8 text: see byte 14"),
    ],
)
def test_refused_without_a_word_of_what_is_in_it(user_data: str, said: str) -> None:
    with pytest.raises(SeedRefused) as refused:
        Seed.of(user_data.encode())
    assert said in refused.value.message
    told = "".join(traceback.format_exception(refused.value)) + (refused.value.hint or "")
    assert SECRET not in told
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


@pytest.mark.parametrize(
    ("user_data", "said"),
    [
        (b"#cloud-config\n\xff", "user-data is no UTF-8 text: see byte 14"),
        (gzip.compress(b"#cloud-config\n", mtime=0)[:-4], "user-data is gzip, and cut short"),
        (
            gzip.compress(b"#cloud-config\n", mtime=0) + b"x",
            "user-data is gzip, and cut short or followed",
        ),
        (b"\x1f\x8b\x08rubbish", "user-data is gzip, and damaged"),
        (gzip.compress(bytes(100 * LARGEST), mtime=0), "user-data has more than 2.10 MB"),
    ],
)
def test_bytes_that_are_no_text_are_refused(user_data: bytes, said: str) -> None:
    with pytest.raises(SeedRefused, match=said):
        Seed.of(user_data)


def test_meta_data_keeps_all_but_its_instance_id() -> None:
    seed = Seed.of(b"#cloud-config\n", b"instance-id: mine\nlocal-hostname: box\nkeys: [a, b]\n")
    meta = yaml.safe_load(seed.files()["meta-data"])
    assert {**meta, "instance-id": ""} == {
        "instance-id": "",
        "local-hostname": "box",
        "keys": ["a", "b"],
    }
    assert meta["instance-id"].startswith("bty-")
    assert seed.files()["meta-data"] != seed.files()["meta-data"]
    assert seed.warnings == (
        "the instance-id in meta-data is not used: each flash gets a new one,"
        " so that cloud-init sets the machine up again",
    )
    assert Seed.of(b"#cloud-config\n", b"local-hostname: box\n").warnings == ()


@pytest.mark.parametrize("text", [b"- a\n", b"a: [\n", b"1: a\n"])
def test_meta_data_that_is_no_mapping_is_refused(text: bytes) -> None:
    with pytest.raises(SeedRefused, match=r"^meta-data "):
        Seed.of(b"#cloud-config\n", text)


@pytest.mark.parametrize(
    "text",
    [
        b"version: 2\nethernets: {}\n",
        b"network:\n  version: 1\n  config: []\n",
        b"config: disabled\n",
    ],
)
def test_a_network_that_is_understood(text: bytes) -> None:
    assert Seed.of(b"#cloud-config\n", None, text).files()["network-config"] == text


@pytest.mark.parametrize("text", [b"ethernets: {}\n", b"version: 3\n", b"- a\n", b"", b"a: [\n"])
def test_a_network_that_is_not(text: bytes) -> None:
    with pytest.raises(SeedRefused, match=r"^network-config "):
        Seed.of(b"#cloud-config\n", None, text)


def test_a_seed_does_not_show_what_is_in_it() -> None:
    seed = Seed.of(f"#cloud-config\npassword: {SECRET}\n".encode(), f"a: {SECRET}\n".encode())
    assert SECRET not in repr(seed) + str(seed)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SeedRefused, match=r"no \(user-data\) is not there"):
        read_seed(tmp_path / "no", None, None)
    with pytest.raises(SeedRefused, match=r"\(user-data\) is no regular file"):
        read_seed(tmp_path, None, None)
    large = tmp_path / "large"
    large.write_bytes(b"#cloud-config\n" + b"#" * LARGEST)
    with pytest.raises(SeedRefused, match=r"^user-data has more than 2\.10 MB$"):
        read_seed(large, None, None)
