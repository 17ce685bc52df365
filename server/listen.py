"""Sockets that listen, and what is said of them."""

from __future__ import annotations

import errno
import socket
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from server.settings import WrongSetting

_PATIENCE_WITH_READERS: Final = timedelta(seconds=60)
"""After which a connection ends whose other end takes nothing of what was written, although its machine is there."""
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class MailDoor:
    """Where mail is taken; port 0 takes any free one, and a socket that is open already goes before both."""

    host: str = "127.0.0.1"
    port: int = 8025
    lmtp: bool = False
    listener: socket.socket | None = None

    def open(self) -> socket.socket:
        """The listening socket."""
        return self.listener or listen(self.host, self.port, option="--smtp-port")


def listen(host: str, port: int, *, option: str = "--port", patience: timedelta = _PATIENCE_WITH_READERS) -> socket.socket:
    """A listening socket; raises WrongSetting in one line when it cannot be had.

    ``patience`` is for readers that take nothing: the loop closes no connection before the last byte is taken.

    It does not share its port (SO_REUSEPORT): connections that wait for one of several owners die with it, and a second
    `disqua serve` started by mistake would take half of the traffic. Processes that serve together share one socket.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = f"is in use; choose another with {option}" if taken else f"cannot be listened on: {error.strerror or error}"
        message = f"port {port} on {host} {reason}"
        raise WrongSetting(message) from None
    if sys.platform == "linux":  # connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience // _MILLISECOND)
    return listener


def mail_address(listener: socket.socket, *, lmtp: bool) -> str:
    """Where mail is taken, as a URL."""
    return f"{'lmtp' if lmtp else 'smtp'}://{name_of(listener)}"


def name_of(listener: socket.socket) -> str:
    """Where it listens, as it stands in a URL (RFC 3986, 3.2.2)."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if listener.family is socket.AF_INET6 else f"{host}:{port}"
