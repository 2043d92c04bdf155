"""Where the market listens: on this machine alone unless told otherwise; who is there already."""

from __future__ import annotations

import errno
import ipaddress
import socket

import psutil

from vast_pyworker.errors import SettingError


def listen_on(host: str, port: int, *, allow_remote: bool) -> socket.socket:
    """A bound socket. Raises SettingError with one sentence where that cannot be had."""
    host = host.strip("[]")
    if not allow_remote and not is_loopback(host):
        raise SettingError(
            f"The market has no secrets and runs programs, so it listens on this machine alone: "
            f"{host} is not allowed; use 127.0.0.1, or say --allow-remote."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise SettingError(_why_not(host, port, error)) from error
    return sock


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(sock: socket.socket) -> str:
    """How this machine reaches what listens there."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why_not(host: str, port: int, error: OSError | OverflowError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"Port {port} is taken by {_owner_of(port)}: end it, or choose another with --port."
    if number == errno.EACCES:
        return f"Port {port} needs root: choose one from 1024 to 65535 with --port."
    why = getattr(error, "strerror", None) or error
    return f"{host}:{port} cannot be listened on ({why}): choose another with --host and --port."


def _owner_of(port: int) -> str:
    """Who listens there, for people; its arguments are not shown."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.Error:
        found = []
    for each in found:
        if (
            each.status == psutil.CONN_LISTEN
            and each.laddr
            and each.laddr.port == port
            and each.pid
        ):
            try:
                return f"{psutil.Process(each.pid).name()} (pid {each.pid})"
            except psutil.Error:
                break
    return "a process that this user may not see"
