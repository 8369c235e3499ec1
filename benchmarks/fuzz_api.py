"""Schemathesis on OANDA's published specification against the emulator: no 5xx, and every answer as published.

    python -m benchmarks.fuzz_api ../shared/oanda/v20-openapi.json --tool .schemathesis/bin/schemathesis --minutes 5

Schemathesis wants an environment of its own (`pip install schemathesis`); run this from the repository's root. The
specification is taken without the order and position books, which the emulator lacks, and without the two streams,
which never end; ids that exist are offered beside made-up ones.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import requests

Json = dict[str, Any]
TOKEN = "for-the-fuzzer"
LEFT_OUT = ("stream", "orderBook", "positionBook", "/price", "/price/range")
KNOWN = {
    "instrument": ["EUR_USD", "USD_JPY", "EUR_XXX"],
    "orderSpecifier": ["@mine", "5", "6", "999", "@x/y"],
    "tradeSpecifier": ["@held", "4", "999", "@nobody"],
    "transactionID": ["1", "5", "99999", "x"],
    "userSpecifier": ["@", "7"],
}
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"


def converted(spec: Json, where: Json) -> Json:
    """The specification as the emulator serves it: its operations, its account, ids that it knows, no gaps."""
    parameters = {
        name: {**said, "enum": KNOWN[said["name"]]} if said["name"] in KNOWN and said["in"] == "path" else said
        for name, said in spec["parameters"].items()
    }
    parameters["accountIDPathParam"]["enum"] = [where["account"]]
    paths = {
        path: operations
        for path, operations in spec["paths"].items()
        if path.startswith(("/accounts", "/instruments", "/users")) and not path.endswith(LEFT_OUT)
    }
    for path, operations in paths.items():
        for operation in operations.values():
            given = [parameters.get(one.get("$ref", "/").rpartition("/")[2], one) for one in operation["parameters"]]
            if "{accountID}" in path and not any(one["name"] == "accountID" for one in given):
                operation["parameters"].append({"$ref": "#/parameters/accountIDPathParam"})  # one lacks it
    bucket = spec["definitions"]["PriceBucket"]["properties"]["liquidity"]
    bucket["type"] = ["integer", "string"]  # text in a fill's prices: the real wire
    return {**spec, "paths": paths, "parameters": parameters}


def prepare(where: Json) -> None:
    """A trade and pending orders, so that there is something to find."""
    url = f"{where['rest']}/v3/accounts/{where['account']}/orders"
    market = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000", "tradeClientExtensions": {"id": "held"}}
    limit = {"type": "LIMIT", "instrument": "EUR_USD", "units": "5", "price": "1.0", "clientExtensions": {"id": "mine"}}
    for order in (market, limit, {**limit, "clientExtensions": {"id": "other"}}):
        answer = requests.post(url, json={"order": order}, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
        assert answer.status_code == 201, answer.text


def fuzz(spec: Path, tool: str, minutes: float, seed: int, folder: Path) -> int:
    """Serve, fuzz, and say how it ended: Schemathesis's exit code."""
    ticks = folder / "EUR_USD.csv"
    ticks.write_text("time,bid,ask\n2024-05-01T00:00:00Z,1.10000,1.10010\n2024-05-02T00:00:00Z,1.10000,1.10010\n")
    environ = {**os.environ, "OANDA_TOKEN": TOKEN}
    command = [sys.executable, "-m", "daemon", "emulator", "--ticks", str(ticks)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as emulator:
        assert emulator.stdout is not None
        where = json.loads(emulator.stdout.readline())
        try:
            prepare(where)
            served = folder / "spec.json"
            served.write_text(json.dumps(converted(json.loads(spec.read_text()), where)))
            return subprocess.run(
                [
                    *(tool, "run", str(served), "--url", f"{where['rest']}/v3", "--checks", CHECKS),
                    *(
                        "-H",
                        f"Authorization: Bearer {TOKEN}",
                        "--max-time",
                        str(int(minutes * 60)),
                        "--seed",
                        str(seed),
                    ),
                    *("--max-examples", "100000", "--continue-on-failure", "--no-color", "--warnings", "off"),
                ],
                cwd=folder,
                check=False,
            ).returncode
        finally:
            emulator.terminate()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--tool", default="schemathesis", help="the program (default: the one on the path)")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(fuzz(options.spec, options.tool, options.minutes, options.seed, Path(folder)))


if __name__ == "__main__":
    main()
