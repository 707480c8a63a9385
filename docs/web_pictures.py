"""Pictures of the server's pages: `nox -s pictures` makes docs/pictures/web/*.png again.

A real server with a small room of machines is looked at by Chromium. What is only true where the pictures are made, its
folders and its port, is written over with what a reader has.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

from bty_web import database
from bty_web.dhcp import programs
from bty_web.services.clock import now
from bty_web.settings import Settings
from docs import web_room
from tests.browser.server import PASSWORD, USER, Server, add_live_environment, serving

HERE = Path(__file__).resolve().parent
INTO = HERE / "pictures" / "web"
WIDTH, HEIGHT, PHONE = 1200, 750, 390
LARGEST = 120_000  # bytes
ADDRESS, OPERATOR = "192.168.1.2:8080", "192.168.1.20"
# Writes over words on the page.
OVER = """(words) => {
  const over = (text) => words.reduce((found, [old, own]) => found.replaceAll(old, own), text);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = over(walk.currentNode.data);
    if (text !== walk.currentNode.data) walk.currentNode.data = text;
  }
}"""


@dataclass(frozen=True)
class Picture:
    """One page; it ends below the element `until`, or with the window."""

    name: str
    path: str
    until: str = ""
    dark: bool = False
    phone: bool = False


PICTURES = (
    Picture("dashboard", "/ui/"),
    Picture("machines", "/ui/machines"),
    Picture("machines-dark", "/ui/machines", dark=True),
    Picture("machine", "/ui/machines/1", until="[data-assignment] [data-target]"),
    Picture("machine-phone", "/ui/machines/1", until="[aria-labelledby=attempt-title]", phone=True),
    Picture("images", "/ui/images"),
    Picture("live", "/ui/live"),
    Picture("events", "/ui/events"),
    Picture("proxy-dhcp", "/ui/settings/proxy-dhcp", until="#preview"),
)


def main() -> int:
    """Start the server, take the pictures."""
    INTO.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as one:
        bind = f"127.0.0.1:{one.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="bty-") as folder:
        state = Path(folder) / "state"
        prepare(Settings(state_dir=state))
        with serving(state, BTY_BIND=bind) as server, sync_playwright() as playwright:
            words = ["--no-sandbox"] if os.geteuid() == 0 else []
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=words
            )
            take(chromium, server)
            chromium.close()
    return 0


def prepare(settings: Settings) -> None:
    """Fill a state folder, as if the server had been used for a month."""
    add_live_environment(settings.boot_dir, 8_192_000, 91_226_112)
    settings.image_root.mkdir(parents=True)
    for program in programs.PROGRAMS:
        settings.tftp_root.mkdir(exist_ok=True)
        (settings.tftp_root / program.name).write_bytes(b"MZ" + bytes(270_000))
    database.upgrade(settings)
    engine = database.make_engine(settings)
    with database.working(engine) as session:
        web_room.seed(session, settings.image_root, now())
    engine.dispose()


def take(chromium: Browser, server: Server) -> None:
    """Look at each page."""
    host = server.url.removeprefix("http://")
    over = [[str(server.state), "/var/lib/bty"], [host, ADDRESS], ["127.0.0.1", OPERATOR]]
    with opened(chromium, Picture("login", "/ui/login")) as page:
        page.goto(f"{server.url}/ui/login")
        shot(page, Picture("login", "/ui/login"))
        page.get_by_label("Name").fill(USER)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Dashboard").wait_for()
        cookies = page.context.storage_state()
    for picture in PICTURES:
        with opened(chromium, picture, storage_state=cookies) as page:
            page.goto(server.url + picture.path)
            if picture.name == "proxy-dhcp":
                preview(page)
            page.evaluate(OVER, over)
            shot(page, picture)


@contextmanager
def opened(chromium: Browser, picture: Picture, **options: Any) -> Iterator[Page]:
    """A window as a picture wants it."""
    context = chromium.new_context(
        viewport={"width": PHONE if picture.phone else WIDTH, "height": HEIGHT},
        color_scheme="dark" if picture.dark else "light",
        locale="en-GB",
        timezone_id="UTC",
        **options,
    )
    yield context.new_page()
    context.close()


def preview(page: Page) -> None:
    """Ask for the preview of proxy-DHCP on a network that this machine need not have."""
    page.get_by_text("Write the network by hand").click()
    page.get_by_label("Interface").fill("eno1")
    page.get_by_label("Subnet").fill("192.168.1.0/24")
    page.get_by_label("This server's address").fill("192.168.1.2")
    page.get_by_role("button", name="Preview").click()
    page.locator("#preview").wait_for()
    # The server of the pictures listens on loopback alone, and says so.
    page.locator(".alert").filter(has_text="listens on").evaluate("one => one.remove()")


def shot(page: Page, picture: Picture) -> None:
    """Write the picture, in a palette where Pillow is there."""
    page.evaluate("scrollTo(0, 0)")
    path = INTO / f"{picture.name}.png"
    options: dict[str, Any] = {}
    if picture.until:
        box = page.locator(picture.until).first.bounding_box()
        assert box is not None
        width = PHONE if picture.phone else WIDTH
        size = FloatRect(x=0, y=0, width=width, height=box["y"] + box["height"] + 16)
        options = {"clip": size, "full_page": True}
    page.screenshot(path=path, animations="disabled", caret="hide", **options)
    try:
        from PIL import Image
    except ImportError:
        pass
    else:
        with Image.open(path) as found:
            found.convert("RGB").quantize(128).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} is larger than {LARGEST} bytes")


if __name__ == "__main__":
    raise SystemExit(main())
