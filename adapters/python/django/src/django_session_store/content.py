"""How what a session holds becomes the JSON object that is stored, and how two of those differ."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple


class Json:
    """For serializers that write JSON objects: Django's own, and those that only add types to it."""

    prefix = ""  # of the keys

    def __init__(self, serializer: type) -> None:
        self.serializer = serializer

    def dump(self, values: Mapping) -> dict[str, Any]:
        return json.loads(self.serializer().dumps(values))

    def load(self, text: str) -> dict:
        if not text.isascii():  # JSONSerializer decodes Latin-1
            text = json.dumps(json.loads(text))
        return self.serializer().loads(text.encode("ascii"))


class Opaque(Json):
    """For all others, such as pickle: each value on its own, so that requests at the same time still keep theirs."""

    prefix = "="  # so that what one kind of serializer wrote the other does not take for its own

    def dump(self, values: Mapping) -> dict[str, Any]:
        return {f"{self.prefix}{key}": self._encode({key: value}) for key, value in values.items()}

    def load(self, text: str) -> dict:
        values = {}
        for key, encoded in json.loads(text).items():
            if key.startswith(self.prefix):
                values |= self.serializer().loads(base64.b64decode(encoded))
        return values

    def _encode(self, value: dict) -> str:
        return base64.b64encode(self.serializer().dumps(value)).decode("ascii")


@lru_cache
def content_of(serializer: type) -> Json:
    try:
        writes_json = json.loads(serializer().dumps({"key": "value"})) == {"key": "value"}
    except ValueError:
        writes_json = False
    return Json(serializer) if writes_json else Opaque(serializer)


def to_text(stored: Any) -> str:
    """JSON text as PostgreSQL takes it: no NaN, and U+FFFD for half a surrogate pair."""
    text = json.dumps(stored, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Difference(NamedTuple):
    patch: dict[str, Any]
    remove: list[str]


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """Compares as JSON does, to which 1, 1.0 and true are three values."""
    patch = {key: value for key, value in new.items() if key not in old or not _equal(old[key], value)}
    return Difference(patch, [key for key in old if key not in new])


def _equal(a: Any, b: Any) -> bool:
    return a is b or (a == b and json.dumps(a) == json.dumps(b))
