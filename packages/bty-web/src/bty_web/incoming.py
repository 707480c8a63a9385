"""The body of a request as it arrives, however long it is."""

from __future__ import annotations

from typing import BinaryIO, cast

from flask import request


def bytes_of_request() -> BinaryIO:
    """Return the bytes of this request, without the limit that forms have.

    A server that marks the end of the input itself is read directly: the limited stream of the
    framework would take a client that broke off for the end of the body.
    """
    if request.environ.get("wsgi.input_terminated"):
        return cast(BinaryIO, request.environ["wsgi.input"])
    request.max_content_length = request.content_length
    return cast(BinaryIO, request.stream)
