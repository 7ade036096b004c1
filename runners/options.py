"""A runner's own settings, checked against its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from runners.base import OptionValue
from rvos.errors import ConfigError


def read_options(
    runner: str, options: Mapping[str, OptionValue], defaults: Mapping[str, OptionValue]
) -> dict[str, OptionValue]:
    """Return the defaults with `options` in their places.

    Raises:
        ConfigError: an unknown name, or a value of another type than its default.
    """
    for name, value in options.items():
        if name not in defaults:
            near = get_close_matches(name, defaults, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(f"{runner}: unknown option {name}; {hint}known are {', '.join(defaults)}")
        wanted = type(defaults[name])
        if type(value) is not wanted:
            raise ConfigError(f"{runner}: option {name} is {value!r}; give a value of type {wanted.__name__}")
    return {**defaults, **options}
