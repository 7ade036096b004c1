"""Settings of which a key says what class they are: rows of a table, imported when they are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from rvos.errors import ConfigError
from rvos.settings.problems import nearest, show


class ChoiceError(ConfigError):
    """A key whose value is no row of its table."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class Chosen:
    """Marks a dataclass whose class a key of its mapping names: `Annotated[FusionRule, Chosen("method", METHODS)]`.

    Args:
        key: that names it; the classes have an attribute of this name.
        rows: name -> `module:Class`.
        default: name where the key is not given; None: it must be.
    """

    key: str
    rows: Mapping[str, str] = field(default_factory=dict, hash=False)
    default: str | None = None

    def find(self, name: str) -> type:
        """Return the class of a name. Raises ChoiceError: no such name."""
        if name not in self.rows:
            raise ChoiceError(self.key, f"{show(name)} is unknown; {nearest(name, self.rows)}")
        return load_row(self.rows[name])

    def classes(self) -> Sequence[type]:
        """Return all classes that it may be."""
        return [load_row(place) for place in self.rows.values()]


def load_row(place: str) -> Any:
    """Return what `module:attribute` names."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
