"""The OpenAPI document says what the handlers say about themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vast_pyworker.worker.contract.loading import Loaded, load_backend
from vast_pyworker.worker.openapi import build_openapi, built_in_method

SOURCE = '''
"""Adds numbers up."""

from dataclasses import dataclass
from typing import TypedDict

from vast_pyworker.worker import forward


@dataclass
class Amount:
    amount: int


class Value(TypedDict):
    value: int


class Backend:
    pass


def increment(backend, request) -> str:
    """Add to the count,
    at once.

    The amount may be negative.
    """
    return "Incremented"


increment.payload = Amount
increment.example = {"amount": 2}


def value(backend, request) -> Value:
    """The count."""
    return {"value": 1}


def silent(backend, request):
    return ""


def page(backend, request) -> "Unknown":
    return ""


complete = forward("/v1/completions")
models = forward("/v1/models", method="GET", signed=False)

flask_dict = {
    "POST": {"increment": increment, "v1/completions": complete, "value": silent},
    "GET": {"value": value, "page": page, "v1/models": models, "pyworker/status": silent},
    "DELETE": {"jobs/<int:job>": silent},
}
'''

BUILT_IN = {
    "/pyworker/status": "State.",
    "/pyworker/drain": "No more requests.",
    "/pyworker/requests/<request_id>": "Cancel.",
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> Loaded:
    folder: Path = tmp_path_factory.mktemp("backends")
    (folder / "adder").mkdir()
    (folder / "adder" / "backend.py").write_text(SOURCE)
    return load_backend("adder", [folder])


@pytest.fixture(scope="module")
def document(loaded):
    return build_openapi(loaded, BUILT_IN)


def test_it_is_json_with_the_backends_name_and_purpose(document):
    assert json.loads(json.dumps(document)) == document
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "adder"
    assert document["info"]["description"] == "Adds numbers up."


def test_a_docstring_becomes_summary_and_description(document):
    operation = document["paths"]["/increment"]["post"]
    assert operation["summary"] == "Add to the count, at once."
    assert operation["description"] == "The amount may be negative."


def test_a_payload_given_as_an_attribute_becomes_the_request_body(document):
    body = document["paths"]["/increment"]["post"]["requestBody"]
    assert body["content"]["application/json"] == {
        "schema": {"$ref": "#/components/schemas/Amount"},
        "example": {"amount": 2},
    }
    assert document["components"]["schemas"]["Amount"]["properties"] == {
        "amount": {"type": "integer"}
    }


def test_the_returned_type_becomes_the_answer(document):
    answers = {
        path: document["paths"][path][method]["responses"]["200"]["content"]
        for path, method in (("/increment", "post"), ("/value", "get"))
    }
    assert answers["/increment"] == {"text/html": {"schema": {"type": "string"}}}
    value = {"$ref": "#/components/schemas/Value"}
    assert answers["/value"] == {"application/json": {"schema": value}}


def test_methods_of_one_path_stand_together(document):
    assert set(document["paths"]["/value"]) == {"get", "post"}


@pytest.mark.parametrize(("path", "method"), [("/value", "post"), ("/page", "get")])
def test_a_handler_that_says_nothing_readable_has_a_bare_answer(path, method, document):
    operation = document["paths"][path][method]
    assert operation["summary"] == ""
    assert "content" not in operation["responses"]["200"]


def test_a_signed_forward_takes_an_envelope_or_a_key(document):
    operation = document["paths"]["/v1/completions"]["post"]
    assert "POST /v1/completions of the model server" in operation["summary"]
    envelope, plain = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert envelope["required"] == ["auth_data", "payload"]
    assert plain == {"type": "object"}
    assert operation["security"] == [{}, {"key": []}]
    assert set(operation["responses"]) == {"200", "401", "422", "429", "503"}


def test_an_open_forward_wants_neither(document):
    operation = document["paths"]["/v1/models"]["get"]
    assert "security" not in operation
    assert "requestBody" not in operation
    assert "401" not in operation["responses"]


def test_parameters_in_paths_are_written_as_openapi_does(document):
    assert "delete" in document["paths"]["/jobs/{job}"]
    cancel = document["paths"]["/pyworker/requests/{request_id}"]["delete"]
    assert cancel["parameters"][0]["name"] == "request_id"


def test_a_backends_route_wins_over_a_built_in_one(document):
    assert "tags" not in document["paths"]["/pyworker/status"]["get"]
    assert document["paths"]["/pyworker/drain"]["post"]["tags"] == ["worker"]


def test_every_reference_leads_somewhere(document):
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])


def test_operation_ids_are_unique(document):
    ids = [each["operationId"] for item in document["paths"].values() for each in item.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/pyworker/metrics", "GET"),
        ("/pyworker/openapi.json", "GET"),
        ("/pyworker/update", "POST"),
        ("/session/get", "POST"),
        ("/report_loaded", "POST"),
        ("/pyworker/requests/<request_id>", "DELETE"),
    ],
)
def test_built_in_routes_have_their_method(path, method):
    assert built_in_method(path) == method
