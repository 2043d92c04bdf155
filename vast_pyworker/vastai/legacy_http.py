"""The HTTP functions of the module of 2024: one request each, as its guide describes them.

Kept for code that calls them. What it does not: retry, wait or page, which ``VastClient`` does. A
key belongs into the ``Authorization`` header; it is kept out of addresses, logs and errors.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from json import dumps
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import requests
from requests import RequestException

from . import environment

_log = logging.getLogger(__name__)

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_CONNECT_S, _READ_S = 10.0, 60.0
_SHOWN = 500  # characters of an answer in an error
_SHORTEST_SECRET = 6  # what is shorter is a number or a flag


def http_get(url: str, headers: Mapping[str, str]) -> Any:
    """The JSON of the answer. Raises RequestException, and logs what went wrong."""
    response = _sent("GET", url, headers, None, is_logged=True)
    try:
        return response.json()
    except requests.exceptions.JSONDecodeError as exc:
        message = f"GET {_place(url)} answered something that is not JSON."
        _log.error("%s", message)
        raise requests.exceptions.InvalidJSONError(message, response=response) from exc


def apiurl(
    subpath: str, query_args: Mapping[str, Any] | None = None, api_key: str | None = None
) -> str:
    """The address of ``subpath``, as ``/asks/5/``, below ``VAST_URL`` or the service.

    Text in ``query_args`` goes in as it is and anything else as JSON. ``api_key`` is taken for the
    sake of old callers and left out: send it as ``Authorization: Bearer KEY``.
    """
    args = {name: value for name, value in (query_args or {}).items() if name != "api_key"}
    if api_key is not None or len(args) < len(query_args or {}):
        _log.warning("A key does not go into an address. Send it as 'Authorization: Bearer KEY'.")
    texts = {name: each if isinstance(each, str) else dumps(each) for name, each in args.items()}
    address = f"{environment.base_url().rstrip('/')}/api/v0/{subpath.lstrip('/')}"
    return f"{address}?{urlencode(texts)}" if texts else address


def http_put(
    req_url: str, headers: Mapping[str, str], json: Mapping[str, Any]
) -> requests.Response:
    """The good answer; RequestException for any other and for none."""
    return _sent("PUT", req_url, headers, json)


def http_del(
    req_url: str, headers: Mapping[str, str], json: Mapping[str, Any] = _NOTHING
) -> requests.Response:
    """The good answer; RequestException for any other and for none."""
    return _sent("DELETE", req_url, headers, json)


def http_post(
    req_url: str, headers: Mapping[str, str], json: Mapping[str, Any] = _NOTHING
) -> requests.Response:
    """The good answer; RequestException for any other and for none, and logs what went wrong."""
    return _sent("POST", req_url, headers, json, is_logged=True)


def _sent(
    method: str,
    url: str,
    headers: Mapping[str, str],
    json: Mapping[str, Any] | None,
    *,
    is_logged: bool = False,
) -> requests.Response:
    body = None if json is None else dict(json)
    waits = (_CONNECT_S, _READ_S)
    error: RequestException
    try:
        response = requests.request(method, url, headers=dict(headers), json=body, timeout=waits)
    except RequestException as exc:
        message = f"{method} {_place(url)} failed: {_scrubbed(str(exc), url, headers)}"
        error = _same_kind(exc, message)
    else:
        if response.ok:
            return response
        answer = _scrubbed(response.text, url, headers)[:_SHOWN]
        message = f"{method} {_place(url)} answered {response.status_code}: {answer}"
        error = requests.HTTPError(message, response=response)
    if is_logged:
        _log.error("%s", message)
    raise error


def _same_kind(exc: RequestException, message: str) -> RequestException:
    """An error that callers of ``requests`` catch alike, without the text of ``exc``."""
    for kind in (requests.ConnectTimeout, requests.ReadTimeout, requests.ConnectionError):
        if isinstance(exc, kind):
            return kind(message)
    return RequestException(message)


def _place(url: str) -> str:
    """The address without what may hold a key: its query and its user."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "an address that cannot be read"


def _scrubbed(text: str, url: str, headers: Mapping[str, str]) -> str:
    values = [str(value).strip() for value in headers.values()]
    found = [url.partition("?")[2], *values, *(value.rpartition(" ")[2] for value in values)]
    for secret in sorted(found, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "...")
    return text
