"""Asking PAM whether a password is right: the few calls of libpam that it takes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from bty_core.errors import BtyError, ProgramMissing

SERVICE = "bty-web"  # /etc/pam.d/bty-web
LONGEST = 511  # bytes of a password: PAM's limit
_SUCCESS = 0
_CONVERSATION_FAILED = 19
_ECHO_OFF = 1  # the question for a password
_SILENT = 0x8000
_NO_EMPTY_PASSWORD = 0x1
# What is no answer about the password: the service, a module or the memory is missing.
_BROKEN = {1, 2, 3, 4, 5, 26, 28}


class PamBroken(BtyError):
    """PAM cannot check passwords at all."""

    code = "pam-broken"


class _Message(Structure):
    _fields_ = (("style", c_int), ("text", c_char_p))


class _Response(Structure):
    # The text is libc's to free, so Python must not make a string of it.
    _fields_ = (("text", c_void_p), ("code", c_int))


_Talk = CFUNCTYPE(c_int, c_int, POINTER(POINTER(_Message)), POINTER(POINTER(_Response)), c_void_p)


class _Conversation(Structure):
    _fields_ = (("talk", _Talk), ("data", c_void_p))


class Pam:
    """libpam. `folder` has the services instead of /etc/pam.d, where it is given."""

    def __init__(self, service: str = SERVICE, folder: Path | None = None) -> None:
        """Load the library; raise `ProgramMissing`."""
        try:
            self._pam = ctypes.CDLL("libpam.so.0")
        except OSError:
            raise ProgramMissing("libpam is not installed", hint="apt install libpam0g") from None
        self._libc = ctypes.CDLL(None)
        self._libc.calloc.restype = c_void_p
        self._libc.calloc.argtypes = (c_size_t, c_size_t)
        self._libc.strdup.restype = c_void_p
        self._libc.strdup.argtypes = (c_char_p,)
        self._pam.pam_strerror.restype = c_char_p
        self._pam.pam_strerror.argtypes = (c_void_p, c_int)
        for name in ("pam_authenticate", "pam_acct_mgmt", "pam_end"):
            getattr(self._pam, name).argtypes = (c_void_p, c_int)
        self._service = service.encode()
        self._folder = folder

    def accepts(self, user: str, password: str) -> bool:
        """Whether `user` may come in with `password`; raise `PamBroken` where nobody can be asked.

        Not for two threads at once: not every module of PAM is made for that.
        """
        answer = password.encode()
        if not answer or len(answer) > LONGEST or b"\0" in answer:
            return False
        conversation = _Conversation(self._talk(answer), None)
        handle = c_void_p()
        code = self._start(user.encode(), conversation, handle)
        if code != _SUCCESS:
            raise self._broken(handle, code)
        try:
            flags = _SILENT | _NO_EMPTY_PASSWORD
            code = self._pam.pam_authenticate(handle, flags)
            if code == _SUCCESS:
                code = self._pam.pam_acct_mgmt(handle, flags)
            if code in _BROKEN:
                raise self._broken(handle, code)
        finally:
            self._pam.pam_end(handle, code)
        return bool(code == _SUCCESS)

    def _start(self, user: bytes, conversation: _Conversation, handle: c_void_p) -> int:
        arguments: list[Any] = [self._service, user, ctypes.byref(conversation)]
        if self._folder is None:
            return int(self._pam.pam_start(*arguments, ctypes.byref(handle)))
        folder = str(self._folder).encode()
        return int(self._pam.pam_start_confdir(*arguments, folder, ctypes.byref(handle)))

    def _talk(self, answer: bytes) -> Callable[..., int]:
        def talk(number: int, messages: Any, responses: Any, _data: object) -> int:
            made = self._libc.calloc(number, ctypes.sizeof(_Response))
            if not made:
                return _CONVERSATION_FAILED
            found = ctypes.cast(made, POINTER(_Response))
            for at in range(number):
                if messages[at].contents.style == _ECHO_OFF:
                    found[at].text = self._libc.strdup(answer)
            responses[0] = found
            return _SUCCESS

        return _Talk(talk)

    def _broken(self, handle: c_void_p, code: int) -> PamBroken:
        why = self._pam.pam_strerror(handle, code).decode(errors="replace").lower()
        return PamBroken(
            f"PAM cannot check passwords: {why}",
            hint=f"look at /etc/pam.d/{self._service.decode()} and at the journal",
        )
