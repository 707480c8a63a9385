"""Chromium, a server for each file of journeys, and windows at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeAlias

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.server import Server, add_image, add_live_environment, serving
from tests.browser.visit import Visit, visiting

Visiting: TypeAlias = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium without a window. One for each file: two of playwright's loops cannot overlap."""
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=words)
        yield found
        found.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a live environment and one image that is ready."""
    state = tmp_path_factory.mktemp("server") / "state"
    add_live_environment(state / "boot")
    add_image(state / "images")
    with serving(state) as running:
        yield running


@pytest.fixture
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on its first day."""
    with serving(tmp_path_factory.mktemp("server") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def visits(chromium: Browser, server: Server) -> Visiting:
    """Open windows at `server`."""
    return partial(visiting, chromium, server)
