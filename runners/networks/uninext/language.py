"""The clean-up of expressions."""

from __future__ import annotations

_DELETED = str.maketrans("", "", ".,'!?\"()*#:;")
_BLANKED = str.maketrans("-/", "  ")


def clean_expression(text: str) -> str:
    """Return the expression as the network was trained on it: lower case, punctuation dropped or blanked.

    Source: uninext.md, section 2; white space stays as it falls.
    """
    return text.lower().translate(_DELETED).translate(_BLANKED)
