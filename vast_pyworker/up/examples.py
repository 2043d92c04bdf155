"""The lines that a newcomer copies: ``curl`` and Python by way of ``/route/``. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """A call that a backend answers: its route, its body, its work in the backend's units.

    ``signed`` says that the body goes into an envelope with the grant.
    """

    path: str
    payload: dict[str, Any]
    cost: float
    streams: bool = False
    signed: bool = True


_CHAT = Example(
    "/v1/completions",
    {"prompt": "The sun rises in the", "max_tokens": 24, "stream": True, "temperature": 0},
    cost=24,
    streams=True,
)
_OPENAI = frozenset(("llamacpp", "vllm", "sglang", "tgi", "ollama", "openai"))
_OTHERS = {
    "helloworld": Example("/increment", {"amount": 1}, cost=1, signed=False),
    "tei": Example("/embed", {"inputs": "The sun"}, cost=2),
}


def example_of(backend: str) -> Example | None:
    """A call that shows the backend at work; None where nobody wrote one."""
    return _CHAT if backend in _OPENAI else _OTHERS.get(backend)


def curl(example: Example, controller: str, endpoint: str, key: str) -> str:
    """One line: ask for a worker, then ask the worker."""
    route = json.dumps({"endpoint": endpoint, "cost": example.cost})
    payload = json.dumps(example.payload)
    body = f"'{payload}'"
    if example.signed:
        body = f'"{{\\"auth_data\\": $grant, \\"payload\\": {_quoted(payload)}}}"'
    return (
        f"grant=$(curl -sS {controller}/route/ -H 'Authorization: Bearer {key}' -d '{route}') && "
        'url=$(python3 -c \'import json,sys; print(json.loads(sys.argv[1])["url"])\' "$grant") && '
        f"curl -sSN \"$url{example.path}\" -H 'Content-Type: application/json' "
        f"-d {body}"
    )


def snippet(example: Example, controller: str, endpoint: str, key: str) -> str | None:
    """Python with the official client (``pip install vastai==1.9.1``); None where that cannot
    speak with the backend, which takes no envelope."""
    if not example.signed:
        return None
    stream = ", stream=True" if example.streams else ""
    read = (
        '        async for part in answer["response"]:\n            print(part)\n'
        if example.streams
        else '        print(answer["response"])\n'
    )
    return f"""\
import asyncio
from vastai import Serverless

class Local(Serverless):
    SSL_CERT_URL = "{controller}/static/jvastai_root.cer"

async def main():
    here = "{controller}"
    async with Local("{key}", autoscaler_url=here, webserver_url=here) as client:
        endpoint = await client.get_endpoint("{endpoint}")
        answer = await endpoint.request(
            "{example.path}", {example.payload!r}, cost={example.cost:g}{stream})
{read}
asyncio.run(main())
"""


def _quoted(text: str) -> str:
    """JSON inside double quotes of a shell."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
