"""Paths of settings: relative to their file, with named folders filled in, and such that a system can have them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from rvos.settings.nodes import Text, Value, describe
from rvos.settings.problems import nearest, show
from rvos.settings.scalars import ScalarError

_LONGEST_NAME = 255
_LONGEST_PATH = 4000
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
# Beside control characters those that turn the direction of writing: a message would show another path.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class UnknownReferenceError(ScalarError):
    """A `${paths.NAME}` that stands for nothing; the message is whole."""


def read_path(node: Text | Value, named: Mapping[str, Path] | None) -> Path:
    """Return a path, joined to the folder of its place where it has one.

    Args:
        named: what `${paths.NAME}` stands for; None: such text stays as it is.

    Raises:
        ScalarError: no text, an unknown name or user, or nothing that can be a path.
    """
    word = node.text if isinstance(node, Text) else node.value
    if node.is_null or word == "":
        raise ScalarError(f"must be a path; found {describe(node)}")
    if not isinstance(word, str):
        raise ScalarError(f"{describe(node)} is not a path; quote it")
    if named is not None:
        known = [f"paths.{key}" for key in named]
        for reference in _REFERENCE.findall(word):
            if reference not in known:
                raise UnknownReferenceError(f"${{{reference[:40]}}} is not defined; {nearest(reference, known)}")
        # A folder named like a variable of the shell is what nobody means.
        if "$" in _REFERENCE.sub("", word):
            raise ScalarError(f"{show(word)}: only ${{paths.NAME}} is filled in; write the rest of the path out")
        word = _REFERENCE.sub(lambda match: str(named[match[1].removeprefix("paths.")]), word)
    if _HIDDEN.search(word):
        raise ScalarError(f"{show(word)} holds control characters; name the path without them")
    try:
        path = Path(word).expanduser() if node.place.folder is not None else Path(word)
    except RuntimeError:
        raise ScalarError(f"{show(word)} names a user without a home folder; write the folder out") from None
    if node.place.folder is not None:
        path = Path(os.path.normpath(node.place.folder / path))
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _LONGEST_NAME:
        raise ScalarError(f"{show(str(path))} has a name of {longest} bytes; {_LONGEST_NAME} are possible, shorten it")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ScalarError(f"{show(str(path))} is longer than {_LONGEST_PATH} bytes; shorten it")
    return path
