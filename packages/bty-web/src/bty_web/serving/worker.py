"""The gunicorn worker of bty-web: threads that take their connections themselves.

gunicorn's own threaded worker accepts in one thread, computes in others and closes in the first again. Where a rack
powers on, the ways between them cost as much as the answers, and whoever is slow to close a connection (up to two
seconds) keeps everybody from being accepted. Here one thread at a time waits at the door; it takes whoever comes, lets
another one wait, and stays with its connection to the end.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.base import Worker as BaseWorker
from gunicorn.workers.gthread import TConn, ThreadWorker

from bty_web.stopping import STOPPING

HEAD_SECONDS = 30.0  # that a client may take for the head of a request
BODY_SECONDS = 120  # that a client may be silent in the middle of a body
KEPT = 1000  # connections that wait for their next request; they hold no thread
_READY = 4  # threads that are there before anybody asks
_LOOK = 0.5  # seconds after which a waiting thread looks whether it is to stop
_POLITE = 0.002  # seconds that a process with enough to do lets others go first
_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection. While it is `kept` or the head of a request is `awaited`, it ends at `until`."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self.data_ready = True  # nobody takes it before it has said something
        self.number = self.sock.fileno()
        self.kept = False
        self.awaited = False
        self.known = False  # to the epoll
        self.until = 0.0
        self.has_body = False  # the request may have bytes that nobody has read


class Worker(ThreadWorker):  # type: ignore[misc]
    """Answers in as many threads as are needed, at most `threads` of them."""

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Nothing can be set that would not fit."""

    def init_process(self) -> None:
        """Prepare what the threads share."""
        self._door = select.epoll()
        self._at_the_door = threading.Lock()
        self._lock = threading.Lock()  # for all that follows
        self._threads = 0
        self._free = 0  # threads that wait at the door or for their turn there
        self._connections: dict[int, Connection] = {}
        self._kept = 0
        self._computing = 0  # requests that the application has not answered yet
        super().init_process()

    def get_thread_pool(self) -> None:
        """The threads are our own."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop gracefully; event streams hear it at once."""
        STOPPING.set()
        self.alive = False

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at once."""
        STOPPING.set()
        BaseWorker.handle_quit(self, sig, frame)

    def run(self) -> None:
        """Let threads answer until told to stop; then give them their grace."""
        self._listeners = {one.fileno(): one for one in self.sockets}
        for listener in self.sockets:
            listener.setblocking(False)
            # What is accepted inherits these.
            if listener.family != socket.AF_UNIX:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", BODY_SECONDS, 0)
            )
            self._door.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        for _ in range(min(_READY, self.cfg.threads)):
            self._grow()
        while self.alive and self.is_parent_alive():
            self.notify()
            self._end_overdue()
            time.sleep(_LOOK)
        self.alive = False
        until = time.monotonic() + self.cfg.graceful_timeout
        while self._threads and time.monotonic() < until:
            self.notify()
            time.sleep(_LOOK / 10)

    def _grow(self) -> None:
        """Add a thread, where there may be one more; where the system has none, those that are there go on."""
        with self._lock:
            if self._threads >= self.cfg.threads:
                return
            self._threads += 1
            self._free += 1
        try:
            threading.Thread(target=self._serve, daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._threads -= 1
                self._free -= 1
                alone = not self._threads
            if alone:
                raise
            self.log.error("no more threads can be started: %s", error)

    def _serve(self) -> None:
        try:
            while (connection := self._next()) is not None:
                if not self._free:
                    self._grow()
                try:
                    self._answer(connection)
                except Exception:
                    self.log.exception("a connection failed")
                    self._close(connection)
                with self._lock:
                    self._free += 1
        finally:
            with self._lock:
                self._threads -= 1

    def _next(self) -> Connection | None:
        """Wait for somebody who wants something; None when it is time to stop."""
        with self._at_the_door:
            while self.alive:
                if self._computing > 1:
                    time.sleep(_POLITE)  # another process may have nothing to do
                for number, _ in self._door.poll(_LOOK, 1):
                    listener = self._listeners.get(number)
                    found = self._accepted(listener) if listener else self._returned(number)
                    if found is not None:
                        with self._lock:
                            self._free -= 1
                        return found
        return None

    def _accepted(self, listener: socket.socket) -> Connection | None:
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in _FULL:
                self.log.error("no more connections can be opened: %s", error)
                time.sleep(_LOOK)
            return None  # another process was faster, or the client has gone
        connection = Connection(self.cfg, client, address, listener.getsockname())
        with self._lock:
            self._connections[connection.number] = connection
        if _unread(client):
            return connection
        self._keep(connection, HEAD_SECONDS)
        return None

    def _returned(self, number: int) -> Connection | None:
        """Return a connection that was kept and has something to read now."""
        with self._lock:
            connection = self._connections.get(number)
            if connection is None or not connection.kept:
                return None
            connection.kept = False
            self._kept -= 1
            return connection

    def _keep(self, connection: Connection, seconds: float) -> None:
        """Let nobody wait for a connection but the door; where there are too many, the oldest goes."""
        oldest = None
        with self._lock:
            if self._kept >= KEPT:
                kept = (one for one in self._connections.values() if one.kept)
                oldest = min(kept, key=lambda one: one.until)
                oldest.kept = False
                self._kept -= 1
            connection.until = time.monotonic() + seconds
            connection.kept = True
            self._kept += 1
            watched = select.EPOLLIN | select.EPOLLONESHOT
            if connection.known:
                self._door.modify(connection.number, watched)
            else:
                self._door.register(connection.number, watched)
                connection.known = True
        if oldest is not None:
            self._forget(oldest)

    def _answer(self, connection: Connection) -> None:
        """Answer what a client asks for, until it asks for nothing more at once."""
        while True:
            connection.until = time.monotonic() + HEAD_SECONDS
            connection.awaited = True
            again = self.handle(connection)
            connection.awaited = False
            if not (again and self.alive):
                self._close(connection)
                return
            # What was read ahead does not make the socket readable any more.
            if not connection.parser.unreader.buf.getvalue():
                self._keep(connection, self.cfg.keepalive)
                return

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Answer one request, whose head has come; return whether the connection may be kept."""
        conn.awaited = False
        conn.has_body = req.method not in ("GET", "HEAD")
        resp, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg)
        environ["wsgi.multithread"] = True
        crowded = not self._free and self._threads >= self.cfg.threads
        if crowded or not self.alive:
            resp.force_close()
        try:
            with self._lock:
                self._computing += 1
            try:
                answer = self.wsgi(environ, resp.start_response)
            finally:
                with self._lock:
                    self._computing -= 1
            try:
                if isinstance(answer, environ["wsgi.file_wrapper"]):
                    resp.write_file(answer)
                else:
                    for item in answer:
                        resp.write(item)
                resp.close()
            finally:
                if hasattr(answer, "close"):
                    answer.close()
        except OSError:
            raise
        except Exception:
            if not resp.headers_sent:
                raise
            # Another answer in the middle of this one would be taken for a part of it.
            self.log.exception("%s %s broke off", req.method, req.path)
            return False
        return not resp.should_close()

    def _end_overdue(self) -> None:
        """Close kept connections whose time is over, and break off those whose request never comes."""
        now = time.monotonic()
        with self._lock:
            overdue = [one for one in self._connections.values() if one.until < now]
            forgotten = [one for one in overdue if one.kept]
            for one in forgotten:
                one.kept = False
                self._kept -= 1
            for one in overdue:
                if one.awaited:
                    with suppress(OSError):
                        one.sock.shutdown(socket.SHUT_RDWR)
        for one in forgotten:
            self._forget(one)

    def _forget(self, connection: Connection) -> None:
        """Close a connection that was kept: everything on it was answered."""
        with self._lock:
            self._connections.pop(connection.number, None)
        util.close(connection.sock)

    def _close(self, connection: Connection) -> None:
        with self._lock:
            self._connections.pop(connection.number, None)
        # Closing over bytes that nobody has read would take the answer back from the client.
        if connection.has_body or _unread(connection.sock):
            util.close_graceful(connection.sock)
        else:
            util.close(connection.sock)


def _unread(client: socket.socket) -> bool:
    """Whether there is something to read, be it the end."""
    try:
        client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
