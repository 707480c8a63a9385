"""The JSON that commands print, a contract with scripts."""

from __future__ import annotations

import json
from typing import Any

SCHEMA_VERSION = "1"


def envelope(command: str, body: dict[str, Any]) -> str:
    """Return the JSON text of a command's answer: ASCII alone, which passes every locale and terminal."""
    return json.dumps({"schema_version": SCHEMA_VERSION, "command": command, **body}, indent=2)
