"""What the demonstration asks of its own controller, over HTTP like anybody else."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT_S = 10.0


class Controller:
    """One controller and a key of its administrator."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self._session = requests.Session()
        self._session.trust_env = False  # nothing goes through a proxy: it is this machine
        self._session.headers["Authorization"] = f"Bearer {key}"

    def close(self) -> None:
        self._session.close()

    def members(self) -> list[dict[str, Any]]:
        """Every instance as the controller sees it."""
        return list(self._get("/members")["members"])

    def group(self, name: str) -> dict[str, Any]:
        found = self._get(f"/groups/{name}")
        return dict(found.get("group", found))

    def sentences(self, after: int) -> list[dict[str, Any]]:
        """What it said after event ``after``, the oldest first."""
        rows = self._get("/decisions?limit=50")["decisions"]
        return sorted((each for each in rows if each["id"] > after), key=lambda each: each["id"])

    def endpoint_key(self, name: str) -> str:
        """The key that clients of an endpoint use."""
        rows = self._get("/api/v0/endptjobs/")["results"]
        return next(str(each["api_key"]) for each in rows if each["endpoint_name"] == name)

    def _get(self, path: str) -> Any:
        with self._session.get(self.url + path, timeout=TIMEOUT_S) as answer:
            answer.raise_for_status()
            return answer.json()


def billed(market: str) -> tuple[float, int]:
    """What a market has billed in all, in dollars, and how many instances are still there."""
    with requests.get(f"{market}/market/summary", timeout=TIMEOUT_S) as answer:
        answer.raise_for_status()
        found = answer.json()
        return float(found["usd_spent"]), int(found["instances"])
