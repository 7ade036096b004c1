"""ReasonVOS: J and F of every sentence in the frames that are annotated.

Source: specification of the data sets of 2026, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rvos.evaluation.evaluator import OpenJudge
from rvos.evaluation.expressions import ExpressionEvaluator, ExpressionJudge
from rvos.evaluation.figures.j_and_f import J_AND_F, F, J
from rvos.evaluation.figures.kinds import measure_kind
from rvos.evaluation.parts import open_in_parts
from rvos.evaluation.results import ExpressionScore
from rvos.settings import count
from rvos.videos import Video

SHORT, LONG = "short", "long"


class ReasonEvaluator(ExpressionEvaluator):
    """Means over all sentences; those of short and of long ones, which are not official, beside them."""

    @property
    def open_judge(self) -> OpenJudge:
        """Expressions are judged one by one, in the annotated frames."""
        return partial(open_in_parts, judge=ExpressionJudge)

    def find_obstacle(self, video: Video) -> str | None:
        """Nothing is known of an object without masks."""
        return "no mask in Annotations" if video.annotated == () else None

    def measure_further(self, scores: Sequence[ExpressionScore]) -> dict[str, float]:
        """Return J, F and J&F of each kind."""
        found = {
            f"{kind} {figure.name}": measure_kind(kind, figure.measure, scores)
            for kind in (SHORT, LONG)
            for figure in (J, F, J_AND_F)
        }
        return {name: value for name, value in found.items() if value is not None}

    def describe_official(self, scores: Sequence[ExpressionScore]) -> tuple[str, ...]:
        """A sentence without any mask is left out of the mean; one that lacks some ends the scorer."""
        gone = [one for one in scores if one.missing and len(one.missing) == len(one.frames)]
        cut = [one for one in scores if 0 < len(one.missing) < len(one.frames)]
        if cut:
            return (f"stops at {cut[0].video}/{cut[0].expression}: no mask of frame {cut[0].missing[0]}",)
        if not gone:
            return ()
        kept = self.measure([one for one in scores if one not in gone]) if len(gone) < len(scores) else {}
        printed = ", ".join(f"{name} {100 * value:.2f}" for name, value in kept.items()) or "nothing"
        return (
            f"leaves {count(len(gone), 'sentence')} without masks out of its means, first {gone[0].video}/"
            f"{gone[0].expression}: it prints {printed} over the other {len(scores) - len(gone)}",
        )
