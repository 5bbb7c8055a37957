#!/usr/bin/env python3
"""Compares the HTTP API with its own description, by programs that are not ours.

    Scripts/check_api.py PERDURE [EXAMPLES]

Starts `PERDURE dev` over a new folder, has openapi-spec-validator read the description and schemathesis ask for every operation with
what fits it and what does not, EXAMPLES times (25 if it is not said), and ends with the status of the first that complains.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

from openapi_spec_validator import validate


def main(perdure: str, examples: str) -> int:
    with tempfile.TemporaryDirectory(prefix="perdure-api-") as folder:
        server = subprocess.Popen(
            [perdure, "dev", "--folder", folder, "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        try:
            address = next(
                (found.group(1) for line in server.stdout if (found := re.search(r"Perdure at (http://[\d.:]+),", line))), None
            )
            if address is None:
                print("perdure dev ended before it took requests", file=sys.stderr)
                return 1
            with urllib.request.urlopen(f"{address}/openapi.json") as answer:
                validate(json.load(answer))
            print("The description is OpenAPI 3.1.", flush=True)
            start(address)
            return subprocess.run(
                [
                    str(pathlib.Path(sys.executable).with_name("schemathesis")),
                    "--config-file",
                    str(pathlib.Path(__file__).with_name("schemathesis.toml")),
                    "run",
                    f"{address}/openapi.json",
                    "--max-examples",
                    examples,
                    "--seed",
                    "1",
                    "--generation-deterministic",
                    "--workers",
                    "1",
                    "--no-color",
                ],
                env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(pathlib.Path(__file__).parent)},
            ).returncode
        finally:
            server.terminate()
            server.wait()


def start(address: str) -> None:
    """Something that lists can show."""
    for number in range(3):
        body = {"workflow": "take-payment", "input": {"number": f"order-{number}", "cents": 1200}}
        request = urllib.request.Request(
            f"{address}/v1/namespaces/default/runs",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json", "idempotency-key": f'"start-{number}"'},
        )
        urllib.request.urlopen(request).close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "25"))
