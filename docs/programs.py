"""The reference of the API for programs, from the document that a server gives at /api/v1/openapi.json."""

from __future__ import annotations

from typing import Any

from bty_web.api.document import document

_HEAD = """\
# The API for programs

Paths are below `/api/v1` of a server. Fields, parameters and answers of each operation stand in the OpenAPI document,
which a running server gives at `/api/v1/openapi.json`, to everybody.
"""
_EXAMPLES = """\
Upload an image, or have the server fetch one:

```sh
curl --fail -H "Authorization: Bearer $TOKEN" \\
    -T debian-13.img.zst http://server:8080/api/v1/images/debian-13.img.zst
curl --fail -H "Authorization: Bearer $TOKEN" \\
    --json '{"url": "https://example.org/debian-13.img.zst"}' \\
    http://server:8080/api/v1/images
```
"""


def api() -> str:
    """Return the page of operations: one table for each tag."""
    found = document()
    parts = [_HEAD, found["info"]["description"], _EXAMPLES]
    for tag in found["tags"]:
        rows = [
            f"| `{method.upper()}` | `{path}` | {_scope(one)} | {one['summary']} |"
            for path, methods in found["paths"].items()
            for method, one in methods.items()
            if tag["name"] in one["tags"]
        ]
        table = ["| method | path | scope | what it does |", "|---|---|---|---|", *rows]
        parts.append("\n".join([f"## {tag['name']}", "", f"{tag['description']}.", "", *table, ""]))
    return "\n".join(parts)


def _scope(operation: dict[str, Any]) -> str:
    return ", ".join(f"`{one['token'][0]}`" for one in operation["security"]) or "none"
