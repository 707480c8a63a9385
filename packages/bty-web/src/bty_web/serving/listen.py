"""The socket of the server, and the address that a person can type to reach it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bty_web.errors import CannotListen
from bty_web.settings import Bind

_BACKLOG = 2048
# An address of documentation: connecting a datagram socket sends nothing, it only asks which way would be taken.
_ELSEWHERE = {socket.AF_INET: ("192.0.2.1", 9), socket.AF_INET6: ("2001:db8::1", 9)}
_EVERYWHERE = {"0.0.0.0", "::"}


def listen(bind: Bind) -> socket.socket:
    """Return a listening socket; raise `CannotListen`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(
            address[:2],
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=bind.host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        # What `create_server` adds to the words of the kernel is in the message already.
        known = error.errno and not isinstance(error, socket.gaierror)
        why = (os.strerror(error.errno or 0) if known else str(error.strerror)).lower()
        raise CannotListen(
            f"cannot listen on {bind}: {why}",
            hint="is a server running there already? another address is taken with --bind or BTY_BIND",
        ) from error


@contextmanager
def listen_for_proxy(path: Path | None) -> Iterator[socket.socket | None]:
    """A listening Unix socket for a proxy of this machine, removed at the end; raise `CannotListen`."""
    if path is None:
        yield None
        return
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(
            missing_ok=True
        )  # of a server that was killed; two cannot work on one state folder
        listening.bind(str(path))
        path.chmod(0o660)  # its folder says whose group that is
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen(
            f"cannot listen on {path}: {(error.strerror or str(error)).lower()}",
            hint="give bty-web a folder that it may write to, or take BTY_PAGES_SOCKET away",
        ) from error
    try:
        yield listening
    finally:
        listening.close()
        path.unlink(missing_ok=True)


def url(listening: socket.socket) -> str:
    """Return an address at which the socket can be reached, from other machines if it listens for them."""
    host, port = listening.getsockname()[:2]
    if host in _EVERYWHERE:
        host = _own_address(listening.family)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _own_address(family: int) -> str:
    for kind in dict.fromkeys((socket.AF_INET, socket.AddressFamily(family))):
        with socket.socket(kind, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect(_ELSEWHERE[kind])
                found: str = asking.getsockname()[0]
            except OSError:
                continue
            return found
    return "127.0.0.1"
