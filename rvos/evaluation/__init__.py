"""Local evaluation: J and F of masks, and the averages that each benchmark reports."""

from __future__ import annotations

from rvos.evaluation.measures import j_and_f, outline, score, summarise

__all__ = ["j_and_f", "outline", "score", "summarise"]
