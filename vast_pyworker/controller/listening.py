"""Where the controller listens, on this machine alone unless told otherwise, and whom to trust."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from vast_pyworker.errors import SettingError


def listen_on(host: str, port: int) -> socket.socket:
    """A bound socket. Raises SettingError with one sentence where that cannot be had."""
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise SettingError(_why_not(host, port, error)) from error
    return sock


def url_of(sock: socket.socket, tls: object) -> str:
    """How this machine reaches what listens there."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def certificates(own: Path | None, workers: Path | None = None) -> bytes:
    """What clients are to trust: our own certificate, the authority of the workers' where that is
    another, and this system's authorities, PEM."""
    paths = ssl.get_default_verify_paths()
    known = [Path(each) for each in (paths.cafile, DEFAULT_CA_BUNDLE_PATH) if each]
    bundle = next((each for each in known if each.is_file()), None)
    return b"\n".join(each.read_bytes() for each in (own, workers, bundle) if each is not None)


def check_authority(path: Path) -> None:
    """Raises SettingError for a file that holds no certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        none = isinstance(error, ssl.SSLError)
        why = "it holds no certificate" if none else error.strerror
        raise SettingError(
            f"{path} cannot be used ({why}): name a PEM file of certificates with --worker-ca."
        ) from error


def _why_not(host: str, port: int, error: OSError | OverflowError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"Port {port} is taken: end what listens there, or choose another with --port."
    if number == errno.EACCES:
        return f"Port {port} needs root: choose one from 1024 to 65535 with --port."
    why = getattr(error, "strerror", None) or error
    return f"{host}:{port} cannot be listened on ({why}): choose another with --host and --port."
