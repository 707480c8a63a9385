"""What lets the server in is added to a machine's own seed, and takes nothing away from it."""

from __future__ import annotations

import email
from email.message import Message
from typing import Any

import pytest
import yaml

from bty_core.provisioning.seed import Seed
from bty_web.services.online_seed import Grant, with_grant
from bty_web.services.seeds import SeedTexts

GRANT = Grant(
    public_key="ssh-ed25519 AAAAmine",
    host_private="-----BEGIN\nprivate\n-----END\n",
    host_public="ssh-ed25519 AAAAhost",
    up_url="http://10.0.0.1:8080/pxe/52:54:00:12:34:56/up/word",
)
CONFIG = "#cloud-config\nhostname: bücher\nusers:\n- default\n- name: me\n"


def parts(user_data: str) -> list[tuple[str, str]]:
    """Return kind and text of each part, and let bty judge the whole as before a flash."""
    texts = with_grant(SeedTexts(user_data=user_data, network_config="version: 2\n"), GRANT)
    assert texts.network_config == "version: 2\n"
    Seed.of(texts.user_data.encode(), None, None)
    message = email.message_from_string(texts.user_data)
    return [(one.get_content_type(), text(one)) for one in message.walk() if not one.is_multipart()]


def text(part: Message) -> str:
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found.decode()


def ours(found: list[tuple[str, str]]) -> dict[str, Any]:
    kind, written = found[-1]
    assert kind == "text/cloud-config"
    read: dict[str, Any] = yaml.safe_load(written)
    return read


def test_the_machines_own_comes_first_letter_by_letter() -> None:
    found = parts(CONFIG)
    assert found[0] == ("text/plain", CONFIG)
    assert len(found) == 2
    mine = ours(found)
    assert mine["ssh_keys"] == {
        "ed25519_private": GRANT.host_private,
        "ed25519_public": GRANT.host_public,
    }
    assert [one["name"] for one in mine["users"]] == ["bty"]
    assert mine["users"][0]["ssh_authorized_keys"] == [GRANT.public_key]
    assert mine["phone_home"]["url"] == GRANT.up_url


def test_ours_is_merged_by_adding_alone() -> None:
    message = email.message_from_string(with_grant(SeedTexts(user_data=CONFIG), GRANT).user_data)
    *_, last = message.walk()
    assert last["Merge-Type"] == "dict(recurse_list,no_replace)+list(append)+str()"


@pytest.mark.parametrize("own", ["", "#cloud-config\nhostname: a\n", "#!/bin/sh\ntrue\n"])
def test_the_images_own_user_stays_where_nobody_names_users(own: str) -> None:
    found = parts(own)
    assert [one if isinstance(one, str) else one["name"] for one in ours(found)["users"]] == [
        "default",
        "bty",
    ]
    assert [written for _, written in found[:-1]] == ([own] if own else [])


def test_a_message_of_parts_gets_one_more() -> None:
    own = (
        'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n'
        "--b\nContent-Type: text/cloud-config\n\n#cloud-config\nhostname: a\n\n"
        "--b\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ntrue\n\n--b--\n"
    )
    found = parts(own)
    assert [kind for kind, _ in found] == [
        "text/cloud-config",
        "text/x-shellscript",
        "text/cloud-config",
    ]
    assert "hostname: a" in found[0][1]


def test_the_same_is_the_same_bytes() -> None:
    first, second = (with_grant(SeedTexts(user_data=CONFIG), GRANT) for _ in range(2))
    assert first == second
