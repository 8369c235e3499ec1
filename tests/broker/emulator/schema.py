"""OANDA's published schemas, and the fields that we require besides, as a checker of answers."""

import json
import re
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_UNWRITTEN = {"liquidity", "timestamp"}
"""Where the wire is known to differ: text in a fill's prices, and their time's name."""


class Schemas:
    """Checks JSON against `v20-openapi.json` and `emulator_surface.md` of a folder."""

    def __init__(self, folder: Path) -> None:
        spec = json.loads((folder / "v20-openapi.json").read_text())
        self._definitions, self._paths, self._responses = spec["definitions"], spec["paths"], spec["responses"]
        surface = (folder / "emulator_surface.md").read_text()
        self.required = {
            name: fields.split(", ")
            for name, fields in re.findall(r"^\| (\w+) \| ([\w, ]+) \|$", surface, re.MULTILINE)
        }
        self.operations = dict(
            re.findall(r"^\| [AB] \| (\w+ /\S+) \|[^|]*\|[^|]*\| \*\*(.*?)\*\*", surface, re.MULTILINE)
        )

    def check_answer(self, method: str, path: str, status: int, body: Json) -> None:
        """An operation's answer: its schema, its required fields, and no field that isn't known."""
        response = self._paths[path][method.lower()]["responses"][str(status)]
        if "$ref" in response:
            response = self._responses[response["$ref"].split("/")[-1]]
        schema = response["schema"]
        fields = self.operations.get(f"{method} {path}", "") if status in (200, 201) else ""
        missing = [name for name in fields.split(", ") if name and not name.startswith("(") and name not in body]
        assert missing == [], f"{method} {path}: {missing} missing"
        unknown = set(body) - set(schema.get("properties", {}))
        assert unknown <= {"homeConversions", "type", "lastTransactionID", "relatedTransactionIDs"}, (
            f"{path}: {unknown}"
        )
        self.check(body, schema, path)

    def enum(self, name: str) -> list[str]:
        """The words of a named definition."""
        words: list[str] = self._definitions[name]["enum"]
        return words

    def check_object(self, name: str, value: Any) -> None:
        """A value of a named definition."""
        self.check(value, {"$ref": f"#/definitions/{name}"}, name)

    def check(self, value: Any, schema: Json, where: str) -> None:
        """A value against a schema; definitions are found by name, kinds of orders and transactions by type."""
        name = ""
        if "$ref" in schema:
            name = self._subtype(schema["$ref"].split("/")[-1], value)
            schema = self._definitions[name]
            where = f"{where} > {name}"
        kind = schema.get("type")
        if where.endswith("liquidity") and isinstance(value, str):
            assert value.isdecimal(), where
            return
        types = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict, "number": float}
        assert kind is None or (
            isinstance(value, types[kind]) and not (kind == "integer" and isinstance(value, bool))
        ), f"{where}: {value!r} is no {kind}"
        if "enum" in schema:
            assert value in schema["enum"], f"{where}: {value!r} is none of {schema['enum']}"
        if isinstance(value, dict):
            if name != "ClientPrice" or "type" in value:  # a fill's prices are fewer
                missing = [field for field in self.required.get(name, []) if field not in value]
                assert missing == [], f"{where}: {missing} missing"
            for field, inner in value.items():
                assert inner is not None, f"{where}: {field} is null"
                if field in schema.get("properties", {}):
                    self.check(inner, schema["properties"][field], f"{where} > {field}")
        if isinstance(value, list) and "items" in schema:
            for one in value:
                self.check(one, schema["items"], where)

    def _subtype(self, name: str, value: Any) -> str:
        if not isinstance(value, dict) or name not in ("Order", "Transaction"):
            return name
        words = "".join(word.title() for word in value["type"].split("_"))
        found = f"{words}{name}"
        assert found in self._definitions, f"{value['type']} is no {name}"
        return found
