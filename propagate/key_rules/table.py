"""The table of the rules for key frames: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping

KEY_RULES: Mapping[str, str] = {
    "scores": "propagate.key_rules.scores:BestScore",
    "confidence": "propagate.key_rules.confidence:SurestMask",
    "steady": "propagate.key_rules.steady:SteadiestFrame",
    "largest": "propagate.key_rules.largest:LargestMask",
    "consensus": "propagate.key_rules.consensus:Consensus",
}
"""`key: {rule: ...}` of a recipe -> module and class; imported when a recipe names it."""
