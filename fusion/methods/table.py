"""The table of the methods of fusion: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping

METHODS: Mapping[str, str] = {
    "votes": "fusion.methods.votes:Votes",
    "average": "fusion.methods.average:Average",
    "best": "fusion.methods.best:Best",
    "assign": "fusion.methods.assign:Assign",
    "conditional_union": "fusion.methods.conditional_union:ConditionalUnion",
}
"""`method:` of a recipe -> module and class; imported when a recipe names it."""
