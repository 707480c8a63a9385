"""``bty-appliance login``: says yes or no to a password of the user bty, and nothing else to anybody.

systemd holds the socket, which only bty's group may open, and starts this for the first question.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from bty_core.errors import BtyError, Refused
from bty_core.wire.fields import Fields
from bty_web.services.appliance import MOST_BYTES, USER

_PASSED = 3  # the first descriptor that systemd passes
_PATIENCE = 5.0  # seconds that somebody who asks may take to say it
_AT_ONCE = 8  # questions; the others wait in the queue of the socket


class Login:
    """Answers on a listening socket, one question a connection. `accepts` says whether a password is right.

    A wrong password is answered `delay` seconds after the question, however long looking took, and one
    that could not be looked at is not answered.
    """

    def __init__(
        self,
        listening: socket.socket,
        accepts: Callable[[str, str], bool],
        *,
        asking: frozenset[int],
        delay: float = 1.0,
        idle: float = 60.0,
    ) -> None:
        """`asking` are the users, by number, whom the kernel may name at the other end."""
        self._listening = listening
        self._accepts = accepts
        self._asking = asking
        self._delay = delay
        self._idle = idle
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._one = threading.Lock()

    def serve(self) -> None:
        """Answer until nobody has asked for `idle` seconds; systemd starts it again for the next one."""
        self._listening.settimeout(self._idle)
        while True:
            self._places.acquire()
            try:
                line, _ = self._listening.accept()
            except TimeoutError:
                self._places.release()
                break
            threading.Thread(target=self._answer, args=(line,)).start()

    def _answer(self, line: socket.socket) -> None:
        began = time.monotonic()
        try:
            with line:
                line.settimeout(_PATIENCE)
                self._check(line)
                right = self._is_right(line)
                if not right:
                    time.sleep(max(0.0, began + self._delay - time.monotonic()))
                with suppress(OSError):
                    answer = {"answer": "yes" if right else "no"}
                    line.sendall(json.dumps(answer).encode() + b"\n")
        except (OSError, ValueError, RecursionError, BtyError) as failure:
            # Never the question itself: it holds a password.
            told = failure.message if isinstance(failure, BtyError) else type(failure).__name__
            sys.stderr.write(f"bty-appliance: a question could not be answered: {told}\n")
        finally:
            self._places.release()

    def _check(self, line: socket.socket) -> None:
        size = struct.calcsize("3i")
        _, user, _ = struct.unpack(
            "3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        )
        if user not in self._asking:
            raise Refused(f"the user {user} may not ask")

    def _is_right(self, line: socket.socket) -> bool:
        password = Fields(json.loads(_question(line))).text("password", most=MOST_BYTES)
        with self._one:
            return self._accepts(USER, password)


def _question(line: socket.socket) -> bytes:
    said = b""
    while not said.endswith(b"\n"):
        piece = line.recv(4096)
        if not piece or len(said) > MOST_BYTES:
            raise ValueError
        said += piece
    return said


def who_may_ask() -> frozenset[int]:
    """Return root, and the user that bty-web runs as."""
    return frozenset({0, pwd.getpwnam(USER).pw_uid})


def passed_socket() -> socket.socket:
    """Return the socket that systemd has passed; raise `Refused` where it has not."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise Refused(
            "there is no socket to answer on", hint="systemctl start bty-login.socket starts this"
        )
    return socket.socket(fileno=_PASSED)
