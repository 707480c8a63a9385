"""Images come into the catalog through the page, and can be seen to become ready."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.server import DISK, IMAGE, Server
from tests.browser.visit import Visit
from tests.fakes.images import zstd
from tests.fakes.server import ImageServer

pytestmark = pytest.mark.browser
GIB = 2**30
SLOW = 1_500_000  # bytes in a second


def large_image(folder: Path, name: str) -> Path:
    """Return an image that is small to send and takes seconds to measure."""
    disk, image = folder / "disk", folder / name
    with disk.open("wb") as file:
        file.write(random.Random(7).randbytes(2 * 2**20))
        file.truncate(2 * GIB)
    subprocess.run(["zstd", "-q", "-1", "-o", image, disk], check=True)
    disk.unlink()
    return image


def row_of(page: Page, name: str) -> str:
    """Return what the catalog says of an image, its digest left out."""
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
    return " ".join(row.locator("th, td:not(:has(code))").all_inner_texts())


def slowly(visit: Visit) -> None:
    """Let the browser send as over a poor line."""
    visit.page.context.new_cdp_session(visit.page).send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SLOW},
    )


def test_an_upload_shows_how_far_it_is_and_becomes_ready_by_itself(
    visits: Visiting, tmp_path: Path
) -> None:
    image = large_image(tmp_path, "debian-13-desktop.img.zst")
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    with visits() as visit:
        page = visit.page
        visit.go("/ui/images")
        visit.stay()
        slowly(visit)
        page.get_by_label("File", exact=True).set_input_files(image)
        page.get_by_role("button", name="Upload").click()
        bar = page.get_by_role("progressbar", name=f"Upload of {image.name}")
        expect(bar).to_be_visible()
        visit.sees(f"of {image.stat().st_size / 1e6:.1f} MB, ")
        expect(page.get_by_text("uploaded; it is being measured now")).to_be_visible()
        table = page.get_by_role("table")
        row = table.get_by_role("row").filter(has_text=image.name)
        expect(row).to_contain_text("measuring")
        expect(row).to_contain_text("ready", timeout=60_000)
        expect(row).to_contain_text(digest)
        assert re.fullmatch(
            rf"{re.escape(image.name)} ready zstd [\d.]+ MB 2\.15 GB -", row_of(page, image.name)
        ), row_of(page, image.name)
        assert visit.stayed()


def test_an_upload_that_is_not_what_its_digest_says_is_refused_in_a_sentence(
    visits: Visiting, server: Server, tmp_path: Path
) -> None:
    image = tmp_path / "wrong.img"
    image.write_bytes(DISK)
    with visits() as visit:
        visit.refusals.append(422)
        visit.go("/ui/images")
        visit.page.locator("#upload-sha256").fill("0" * 64)
        visit.page.get_by_label("File", exact=True).set_input_files(image)
        visit.page.get_by_role("button", name="Upload").click()
        failed = visit.page.locator(".upload-failed [role=status]")
        expect(failed).to_contain_text(hashlib.sha256(DISK).hexdigest())
        expect(failed).to_contain_text("failed: ")
    assert not (server.state / "images" / image.name).exists()


def test_a_name_that_is_there_already_is_refused_until_it_shall_be_replaced(
    visits: Visiting, server: Server, tmp_path: Path
) -> None:
    server.ready(IMAGE)
    image = tmp_path / IMAGE
    image.write_bytes(zstd(DISK[::-1]))
    with visits() as visit:
        visit.refusals.append(409)
        page = visit.page
        visit.go("/ui/images")
        page.get_by_label("File", exact=True).set_input_files(image)
        page.get_by_role("button", name="Upload").click()
        expect(page.locator(".upload-failed [role=status]")).to_contain_text(IMAGE)
        page.get_by_label("Replace an image of the same name").check()
        page.get_by_label("File", exact=True).set_input_files(image)
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_text("uploaded; it is being measured now")).to_be_visible()
        row = page.get_by_role("table").get_by_role("row").filter(has_text=IMAGE)
        expect(row).to_contain_text(hashlib.sha256(image.read_bytes()).hexdigest(), timeout=30_000)


def test_an_import_from_a_url_is_followed_to_its_end(visits: Visiting) -> None:
    data, name = zstd(DISK), "fedora-43.img.zst"
    digest = hashlib.sha256(data).hexdigest()
    with ImageServer(data, name=name) as source, visits() as visit:
        page = visit.page
        visit.go("/ui/images")
        page.get_by_label("URL", exact=True).fill(source.url)
        page.locator("#import-sha256").fill(digest)
        page.get_by_role("button", name="Import").click()
        row = page.get_by_role("table").get_by_role("row").filter(has_text=name)
        expect(row).to_contain_text("ready", timeout=30_000)
        expect(row).to_contain_text(digest)


def test_an_import_of_something_else_says_what_came(visits: Visiting) -> None:
    data, name = zstd(DISK), "changed.img.zst"
    with ImageServer(data, name=name) as source, visits() as visit:
        page = visit.page
        visit.go("/ui/images")
        page.get_by_label("URL", exact=True).fill(source.url)
        page.locator("#import-sha256").fill("1" * 64)
        page.get_by_role("button", name="Import").click()
        imports = page.get_by_role("region", name="Imports")
        expect(imports).to_contain_text(hashlib.sha256(data).hexdigest(), timeout=30_000)
        expect(imports).to_contain_text("failed")
        expect(page.get_by_role("link", name=name)).to_have_count(0)
