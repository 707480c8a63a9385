"""How the manual is built. Pages in reference/generated/ are made from the code's declarations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bty_core

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

project = "bty"
author = "the bty developers"
version = release = bty_core.__version__
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 2
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"bty {release}"
html_copy_source = False
man_pages = [
    ("reference/generated/commands", "bty", "put an OS image onto a disk, verified", [author], 1),
    (
        "reference/generated/bty-appliance",
        "bty-appliance",
        "what the units of the server appliance run",
        [author],
        1,
    ),
    (
        "reference/generated/bty-flash-on-boot",
        "bty-flash-on-boot",
        "flash this machine as its server wants it",
        [author],
        1,
    ),
    (
        "reference/generated/bty-images-partition",
        "bty-images-partition",
        "make and mount the images partition of a stick",
        [author],
        1,
    ),
    ("reference/generated/bty-tui", "bty-tui", "put an image onto a disk, by hand", [author], 1),
    (
        "reference/generated/bty-media",
        "bty-media",
        "build sticks, network environments and servers",
        [author],
        1,
    ),
    ("reference/generated/bty-web", "bty-web", "serve images and boot decisions", [author], 1),
]


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx looks for its sources."""
    from docs.generate import write_pages

    app.connect("config-inited", lambda *_: write_pages(HERE / "reference" / "generated"))
