"""gunicorn, set up in code: a process group that answers requests, each with many threads.

Threads, because image downloads and event streams take hours and cost little meanwhile; several processes, because
Python computes on one core at a time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http import wsgi

from bty_web.app import create_app
from bty_web.extensions import db
from bty_web.services import contact_rows
from bty_web.serving.child import die_with
from bty_web.serving.logs import to_stderr
from bty_web.serving.worker import Worker
from bty_web.settings import Settings

GRACE = 5  # seconds that running requests have to end in: flashes go on at the same byte afterwards
_SHM = Path("/dev/shm")
# What gunicorn would read from the environment.
_NOT_OURS = ("GUNICORN_PID", "GUNICORN_FD", "LISTEN_PID", "LISTEN_FDS", "NOTIFY_SOCKET", "SENDFILE")


class _Log(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's words, in bty's form."""

    def setup(self, cfg: Any) -> None:  # noqa: ARG002  # as gunicorn calls it
        """Send errors to standard error, and nothing about requests that went well."""
        self.loglevel = logging.WARNING
        self.error_log.handlers = [to_stderr()]
        self.error_log.propagate = False
        self.error_log.setLevel(self.loglevel)
        self.access_log.handlers = []


class Web(BaseApplication):  # type: ignore[misc]
    """The web application under gunicorn, listening on sockets that are open already."""

    def __init__(self, settings: Settings, listening: Sequence[int], ready: int) -> None:
        """`listening` are the sockets; one byte is written to `ready` for each worker that answers."""
        self.settings = settings
        self.listening = listening
        self.ready = ready
        super().__init__()

    def load_config(self) -> None:
        """Say everything that an environment variable of gunicorn could otherwise decide."""
        for name, value in {
            "bind": [f"fd://{number}" for number in self.listening],
            "workers": self.settings.workers,
            "worker_class": Worker,
            "threads": self.settings.threads,
            "keepalive": 15,
            "timeout": 60,  # of the loop that accepts; a request may take as long as it likes
            "graceful_timeout": GRACE,
            "worker_tmp_dir": str(_SHM) if os.access(_SHM, os.W_OK) else None,
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            "forwarded_allow_ips": "",  # settings.trusted_proxies decides, in the application
            "secure_scheme_headers": {},
            "sendfile": None,  # on: gunicorn takes any other value, True as well, for off
            "preload_app": False,
            "control_socket_disable": True,
            "accesslog": None,
            "logger_class": _Log,
            "proc_name": "bty-web",
            "default_proc_name": "bty-web",
            "post_fork": self._forked,
            "post_worker_init": self._answers,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application of one worker: its connections to the database are its own."""
        app = create_app(self.settings)
        with app.app_context():
            contact_rows.make_ready(db.engine)
        with app.test_client() as client:
            client.get("/pxe-bootstrap.ipxe")
        return app

    def serve(self) -> int:
        """Serve until a signal says to stop."""
        for name in _NOT_OURS:
            os.environ.pop(name, None)
        wsgi.SERVER = "bty"  # what the header `Server` says of program and version
        Arbiter(self).run()
        return 0

    def _forked(self, arbiter: Arbiter, _worker: Worker) -> None:
        die_with(arbiter.pid)

    def _answers(self, _worker: Worker) -> None:
        os.write(self.ready, b"+")
