"""The machine's own seed with what lets the server in after the flash: a user, a host key, a word when it is up.

cloud-init merges parts of a MIME message; ours comes last and only adds to what stands before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.parser import Parser
from typing import Any

import yaml

from bty_web.services.seeds import SeedTexts

USER = "bty"
SUDOERS = "/etc/sudoers.d/90-bty-online"
_MERGE = "dict(recurse_list,no_replace)+list(append)+str()"
_BOUNDARY = "===============bty=="  # the same seed is the same bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What lets the server in: public key of the user, the machine's host key pair, where it says that it is up."""

    public_key: str
    host_private: str
    host_public: str
    up_url: str


def with_grant(texts: SeedTexts, grant: Grant) -> SeedTexts:
    """Return the seed with `grant` merged in."""
    whole = MIMEMultipart(boundary=_BOUNDARY)
    for part in _parts(texts.user_data):
        whole.attach(part)
    has_users = _has_users(texts.user_data)
    mine = MIMEText("#cloud-config\n" + _cloud_config(grant, has_users), "cloud-config", "utf-8")
    mine.add_header("Merge-Type", _MERGE)
    whole.attach(mine)
    return replace(texts, user_data=whole.as_string())


def _cloud_config(grant: Grant, has_users: bool) -> str:
    user = {
        "name": USER,
        "gecos": "bty, until its workflow has ended",
        "shell": "/bin/sh",
        "lock_passwd": True,
        "ssh_authorized_keys": [grant.public_key],
    }
    config: dict[str, Any] = {
        "ssh_keys": {"ed25519_private": grant.host_private, "ed25519_public": grant.host_public},
        # A list of users without 'default' would take the image's own one away.
        "users": [user] if has_users else ["default", user],
        "write_files": [
            {
                "path": SUDOERS,
                "permissions": "0440",
                "content": f"{USER} ALL=(ALL) NOPASSWD:ALL\n",
            }
        ],
        "phone_home": {
            "url": grant.up_url,
            "post": ["instance_id", "hostname"],
            "tries": 10,
        },
    }
    return yaml.safe_dump(config, sort_keys=True, width=4096)


def _parts(user_data: str) -> list[Message]:
    """Return user-data as parts of a message: what is one already is taken apart."""
    if not user_data.strip():
        return []
    first = user_data.splitlines()[0].strip()
    if first.lower().startswith(("content-type:", "mime-version:")):
        found = Parser().parsestr(user_data)
        if found.is_multipart():
            return [part for part in found.get_payload() if isinstance(part, Message)]
        return [found]
    # Of plain text cloud-init looks at the first line itself.
    return [MIMEText(user_data, "plain", "utf-8")]


def _has_users(user_data: str) -> bool:
    """Whether a plain cloud-config says which users there are; in a message of parts, whether any might."""
    if not user_data.lstrip().startswith("#cloud-config\n"):
        return "\nusers:" in user_data
    try:
        found = yaml.safe_load(user_data)
    except yaml.YAMLError:
        return False
    return isinstance(found, dict) and "users" in found
