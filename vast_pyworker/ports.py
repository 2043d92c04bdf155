"""Where a program of this machine listens: a socket bound there, and who has a port already.

What is not here: who may reach it, and listening itself.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

import psutil

from .errors import SettingError

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def bound(host: str, port: int) -> socket.socket:
    """A socket bound there. SettingError, which names ``--port`` and ``--host``, where none is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host.strip("[]"), port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise SettingError(_why_not(host, port, error)) from error
    return sock


def url_of(sock: socket.socket, *, tls: bool = False) -> str:
    """How this machine reaches what listens there."""
    host, port = sock.getsockname()[:2]
    host = ANYWHERE.get(host, host)
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def owner_of(port: int) -> str:
    """The process that listens on ``port``, for people; its arguments are not shown."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.Error:
        found = []
    for each in found:
        local = each.laddr
        if each.status == psutil.CONN_LISTEN and local and local.port == port and each.pid:
            try:
                return f"{psutil.Process(each.pid).name()} (pid {each.pid})"
            except psutil.Error:
                break
    return "a process that this user may not see"


def _why_not(host: str, port: int, error: OSError | OverflowError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"Port {port} is taken by {owner_of(port)}: end it, or choose another with --port."
    if number == errno.EACCES:
        return f"Port {port} needs root: choose one from 1024 to 65535 with --port."
    why = getattr(error, "strerror", None) or error
    return f"{host}:{port} cannot be listened on ({why}): choose another with --host and --port."
