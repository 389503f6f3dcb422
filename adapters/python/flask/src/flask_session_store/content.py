"""A session's values, and which of them have changed since it was loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

# Of these a caller cannot change what is stored, so a value that was only read needs no second look.
UNCHANGEABLE = (str, int, float, type(None))
SURROGATE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)


class Codec(Protocol):
    """How values that JSON has no form for are kept."""

    def encode(self, value: Any) -> str:
        """The value as JSON text, the same for equal values."""

    def decode(self, value: Any) -> Any:
        """The value again, from what a JSON parser made of its text."""


@dataclass(frozen=True)
class Changes:
    """What has to be saved: JSON texts by key, and the keys that are gone."""

    patch: dict[str, str]
    remove: list[str]

    def __bool__(self) -> bool:
        return bool(self.patch or self.remove)

    def __contains__(self, key: str) -> bool:
        return key in self.patch or key in self.remove

    def json(self) -> str:
        members = (f"{well_formed(json.dumps(str(key)))}:{text}" for key, text in self.patch.items())
        return "{" + ",".join(members) + "}"


class Content(MutableMapping[str, Any]):
    """The map. A value is decoded when it is first asked for; the others need not be compared."""

    def __init__(self, stored: dict[str, Any], codec: Codec) -> None:
        self._stored = stored
        self._codec = codec
        self._values: dict[str, Any] = {}
        self._removed: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        if key in self._values:
            return self._values[key]
        if key in self._removed:
            raise KeyError(key)
        value = self._codec.decode(self._stored[key])
        if not isinstance(value, UNCHANGEABLE):
            self._values[key] = value
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value
        self._removed.discard(key)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._values.pop(key, None)
        self._removed.add(key)

    def __iter__(self) -> Iterator[str]:
        yield from [key for key in self._stored if key not in self._removed]
        yield from [key for key in self._values if key not in self._stored]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return key in self._values or (key in self._stored and key not in self._removed)

    def changes(self) -> Changes:
        """Compares texts, not values: to Python 1, 1.0 and True are equal."""
        patch = {}
        for key, value in self._values.items():
            text = well_formed(self._codec.encode(value))
            if key not in self._stored or text != self._text_of(key):
                patch[key] = text
        return Changes(patch, sorted(self._removed & self._stored.keys()))

    def whole(self) -> Changes:
        """What makes an empty session this one."""
        return Changes({key: well_formed(self._codec.encode(value)) for key, value in self.items()}, [])

    def _text_of(self, key: str) -> str:
        return well_formed(self._codec.encode(self._codec.decode(self._stored[key])))

    def saved(self, changes: Changes) -> None:
        """They are stored now."""
        self._stored |= {key: json.loads(text) for key, text in changes.patch.items()}
        for key in changes.remove:
            del self._stored[key]
        self._removed.clear()

    def is_as_loaded(self, key: str) -> bool:
        return key in self._stored and key not in self._values and key not in self._removed

    def forget(self, key: str) -> None:
        """Somebody has taken it out of the stored session already."""
        self._stored.pop(key, None)
        self._values.pop(key, None)

    def reload(self, stored: dict[str, Any]) -> None:
        """What is stored is something else now; the values that the caller holds stay the session's if it is not."""
        if stored != self._stored:
            self._stored, self._values, self._removed = stored, {}, set()


def well_formed(text: str) -> str:
    """JSON text without halves of surrogate pairs, which UTF-8 cannot carry: a browser may send them in JSON."""
    if not SURROGATE.search(text):
        return text
    plain = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
