"""A door from this computer's loopback to the pages of a server in a lab's own network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.system.lab.network import within

_PIECE = 65536


@contextmanager
def door(namespace: str, host: str, port: int) -> Iterator[str]:
    """Let programs of this computer reach `host` and `port` in `namespace`; the URL of the door."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(
            target=_serve, args=(listening, namespace, host, port), daemon=True
        ).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, namespace: str, host: str, port: int) -> None:
    with suppress(OSError):  # the door is shut
        while True:
            client, _ = listening.accept()
            try:
                server = within(namespace, lambda: socket.create_connection((host, port), 10))
            except OSError:
                client.close()
                continue
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
