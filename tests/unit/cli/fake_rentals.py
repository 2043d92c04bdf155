"""A few rules on top of the scripted server: what is created exists until it is destroyed."""

from __future__ import annotations

from typing import Any

from vast_rows import instance, listed, offer

from vast_pyworker.vastai.fake_vast import Asked, FakeVast, Told

CREATE = "PUT /api/v0/asks/{}/"
FIRST_ID = 1000


class Rentals:
    """``rows`` is the truth: what exists and is billed. Instances get numbers from FIRST_ID on."""

    def __init__(self, vast: FakeVast) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.fields: dict[str, Any] = {}  # of the next ones
        self.offers = [offer(101), offer(102, dph_total=0.36), offer(103, dph_total=0.37)]
        self._vast = vast
        vast.on("POST /api/v0/bundles/", lambda _: {"offers": self.offers})
        vast.on("PUT /api/v0/asks/*/", self.create)
        vast.on("GET /api/v1/instances/", self.list)
        vast.on("GET /api/v0/instances/*/", self.show)
        vast.on("DELETE /api/v0/instances/*/", self.destroy)

    def create(self, asked: Asked) -> dict[str, Any]:
        number = FIRST_ID + len(self._vast.calls("PUT /api/v0/asks/*")) - 1
        fields = {"label": asked.body["label"], "disk_space": asked.body["disk"], **self.fields}
        self.rows[number] = instance(number, **fields)
        return {"success": True, "new_contract": number, "instance_api_key": "of-the-instance"}

    def create_stopped(self, asked: Asked) -> dict[str, Any]:
        made = self.create(asked)
        fields = ("actual_status", "intended_status", "cur_state", "next_state")
        self.rows[made["new_contract"]] |= dict.fromkeys(fields, "stopped")
        return {**made, "success": False}

    def create_and_break(self, asked: Asked) -> Told:
        self.create(asked)
        return Told({}, 502)

    def create_stopped_and_break(self, asked: Asked) -> Told:
        self.create_stopped(asked)
        return Told({}, 502)

    def create_two_and_break(self, asked: Asked) -> Told:
        self.create(asked)
        twin = max(self.rows) + 500
        self.rows[twin] = {**self.rows[max(self.rows)], "id": twin}
        return Told({}, 502)

    def list(self, asked: Asked) -> dict[str, Any]:
        filters = asked.query.get("select_filters", "{}")
        return listed(*(row for row in self.rows.values() if "label" not in filters
                        or f'"{row["label"]}"' in filters))  # fmt: skip

    def show(self, asked: Asked) -> dict[str, Any]:
        return {"instances": self.rows.get(int(asked.path.split("/")[-2]))}

    def destroy(self, asked: Asked) -> dict[str, Any] | Told:
        number = int(asked.path.split("/")[-2])
        if self.rows.pop(number, None) is None:
            msg = f"Instance {number} not found."
            return Told({"success": False, "error": "no_such_instance", "msg": msg}, 404)
        return {"success": True}
