"""Arguments that are paths, as a shell completes them."""

from __future__ import annotations

import argparse

# What a shell may offer for an argument.
FILE, FOLDER = "file", "folder"


def declare_path(
    parser: argparse.ArgumentParser, flag: str, complete: object, **options: object
) -> None:
    """Declare an option whose value is a path; `complete` is `FILE` or `FOLDER`."""
    option = parser.add_argument(flag, **options)  # type: ignore[arg-type]  # passed on as they are
    option.complete = complete  # type: ignore[attr-defined]
