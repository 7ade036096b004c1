"""Fusion of all expressions of a video: what the methods of `fusion.methods` have in common, and a rule's result."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, ClassVar, Self

from fusion.assignment import ScoreFit
from fusion.groups import Group
from fusion.member_masks import Member, MemberMasks
from fusion.scores import ScoreRule, combine_scores
from fusion.thresholds import scale_weights
from fusion.votes import check_alike
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskFill, MaskSequence
from rvos.settings import Key, count, nearest, show

Rows = Sequence[Sequence[MaskSequence]]
"""For each expression of a group the sequences of all members, in the order of the rule."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the members of a fusion say of a video.

    Args:
        groups: their sequences, group by group.
        masks: all of these, read and compared, where that is done already.
        fits: one for each member, which make mean scores into chances that can be compared; None: not fitted.
    """

    groups: Sequence[Rows]
    masks: MemberMasks | None = None
    fits: Sequence[ScoreFit] | None = None


def list_present(rows: Rows) -> list[tuple[int, MaskSequence]]:
    """Return (place of the member, sequence) of a group's sequences but for those of members that abstain."""
    return [(member, one) for row in rows for member, one in enumerate(row) if not one.abstains]


@dataclass(frozen=True, slots=True)
class FusionRule:
    """How members are combined; each method is a class with its own settings, which are further keys of the recipe.

    Args:
        members: that are fused.
        weights: of members, above 0; 1 for those that are not named.
        scores: rule of the result's scores and key frame.

    Raises:
        FusionError: values that do not go together.
    """

    method: ClassVar[str]
    """Its name in the table of methods."""
    needs_soft: ClassVar[bool] = False
    """Whether it reads the members' probabilities."""
    takes_groups: ClassVar[bool] = True
    """Whether several sentences may be fused together; else every sentence stands alone."""
    compares_scores: ClassVar[bool] = False
    """Whether scores of different members must be of one scale, unless they are fitted."""
    cheap: ClassVar[str] = ""
    """The setting of which `fuse_by_all` tries many values at little more than the cost of one; empty: none."""

    members: Annotated[tuple[str, ...], Key("fuse")]
    weights: Mapping[str, Fraction] = field(default_factory=dict, kw_only=True)
    scores: ScoreRule = field(default="first", kw_only=True)

    def __post_init__(self) -> None:
        if not self.members:
            raise FusionError("a fusion without members; name at least one member")
        for member in self.weights:
            if member not in self.members:
                raise FusionError(f"weights: unknown key {show(member)}; {nearest(member, self.members)}")
        self.integer_weights()
        # A weight of 1 is the default: said or not, it is the same rule.
        object.__setattr__(self, "weights", {name: weight for name, weight in self.weights.items() if weight != 1})

    def fuse(self, answers: Answers) -> Iterable[tuple[bytes, ...]]:
        """Return the run lengths that each group's expressions share; FusionError where it cannot fuse the masks."""
        return (own[0] for own in self.fuse_by_all([self], answers))

    @classmethod
    def fuse_by_all(cls, rules: Sequence[Self], answers: Answers) -> Iterable[Sequence[tuple[bytes, ...]]]:
        """Return what `fuse` of each rule has for each group; the rules are of one method and of the same members."""
        if cls.fuse is not FusionRule.fuse:  # of one's own, for all groups together
            return zip(*(rule.fuse(answers) for rule in rules), strict=True)
        # Where every member abstains, its black masks stay.
        return (
            cls.fuse_group_by_all(rules, rows, answers.fits) if list_present(rows) else [rows[0][0].runs] * len(rules)
            for rows in answers.groups
        )

    @classmethod
    def fuse_group_by_all(
        cls, rules: Sequence[Self], rows: Rows, fits: Sequence[ScoreFit] | None
    ) -> list[tuple[bytes, ...]]:
        """Return the run lengths of one group by each rule; a method whose rules share work does it here."""
        return [rule.fuse_group(rows, fits) for rule in rules]

    def fuse_group(self, rows: Rows, fits: Sequence[ScoreFit] | None) -> tuple[bytes, ...]:
        """Return the run lengths of one group, of a method whose groups do not depend on each other."""
        raise NotImplementedError

    def settle(self, *, grouped: bool, overlapping: bool) -> Self:
        """Return the rule with what depends on the recipe around it.

        Args:
            grouped: whether sentences of one object are fused together.
            overlapping: whether a sentence of the data set may mean several objects.
        """
        return self

    def ungrouped(self) -> Self:
        """Return the rule for the same sentences, each on its own."""
        return self

    def check(self) -> Iterable[str]:
        """Return what cannot work, whatever the groups."""
        return ()

    def explain_reach(self, group_size: int, where: str) -> str | None:
        """Return why such a group, found at `where`, cannot reach the threshold; None: it can, or nobody votes."""
        return None

    def list_values(self, sizes: Collection[int]) -> Sequence[str]:
        """Return values of the setting `cheap` that are worth a try with groups of these sizes, as a recipe does."""
        return ()

    def own_value(self) -> str:
        """Return the value of the setting `cheap`, in the same way."""
        return ""

    def read_fits(self) -> tuple[ScoreFit, ...] | None:
        """Return what was fitted for the members' scores, or None; InputError where the file does not fit them."""
        return None

    def exact_weights(self) -> tuple[Fraction, ...]:
        """Return the weight of every member."""
        # Fractions, so that votes are counted in whole units and no threshold misses its own tie.
        return tuple(self.weights.get(member, Fraction(1)) for member in self.members)

    def integer_weights(self) -> tuple[int, ...]:
        """Return the weights in the integers that votes are counted in."""
        return scale_weights(self.exact_weights())[0]

    def describe(self) -> str:
        """Return the method and its threshold, where it has one, in words."""
        threshold = getattr(self, "threshold", None)
        return self.method if threshold is None else f"{self.method}, threshold {threshold}"


def fuse_video(
    members: Sequence[Member],
    groups: Sequence[Group],
    rule: FusionRule,
    *,
    masks: MemberMasks | None = None,
    fits: Sequence[ScoreFit] | None = None,
) -> Iterator[MaskSequence]:
    """Yield the fused sequence of every expression, group by group.

    Args:
        members: for each member of the rule the sequences of a video by expression.
        groups: which expressions are fused with each other.
        masks, fits: see `Answers`.

    Raises:
        FusionError: an expression is missing, frames or sizes differ, no vote can reach the threshold, or masks
            without scores are to be compared by their scores.
    """
    return (own for (own,) in fuse_video_by_all(members, groups, [rule], masks=masks, fits=fits))


def fuse_video_by_all(
    members: Sequence[Member],
    groups: Sequence[Group],
    rules: Sequence[FusionRule],
    *,
    masks: MemberMasks | None = None,
    fits: Sequence[ScoreFit] | None = None,
) -> Iterator[list[MaskSequence]]:
    """Yield what `fuse_video` does by each of some rules of one method and of the same members."""
    first = rules[0]
    if fits is not None and len(fits) != len(first.members):
        raise FusionError(f"fits of {count(len(fits), 'member')} for {len(first.members)}; fit these members again")
    rows = [[_gather(members, first, expression) for expression in group.expressions] for group in groups]
    for own, found in zip(rows, type(first).fuse_by_all(rules, Answers(rows, masks, fits)), strict=True):
        answered = [present for row in own if (present := [one for one in row if not one.abstains])]
        for row in own:
            # Scores too are those of the members that answer; where none does, of another sentence of the object.
            present = [one for one in row if not one.abstains] or (answered[0] if answered else row)
            missing: MaskFill | None = None if answered else "abstain"
            # Rules of one method mostly agree: what is equal is stated once.
            keys = [(rule.scores, runs) for rule, runs in zip(rules, found, strict=True)]
            stated = {key: _state(row[0], present, *key, missing) for key in dict.fromkeys(keys)}
            yield [stated[key] for key in keys]


def _state(
    first: MaskSequence,
    present: Sequence[MaskSequence],
    score_rule: ScoreRule,
    runs: tuple[bytes, ...],
    missing: MaskFill | None,
) -> MaskSequence:
    """Return fused masks of the sentence of `first`, with the scores of the members that answer."""
    scores, key_frame = combine_scores(present, score_rule)
    return MaskSequence(
        first.video,
        first.expression,
        first.frames,
        first.size,
        runs,
        scores,
        key_frame,
        scored=all(one.scored for one in (present[:1] if score_rule == "first" else present)),
        missing=missing,
    )


def _gather(members: Sequence[Member], rule: FusionRule, expression: str) -> list[MaskSequence]:
    """Return the sequences of all members for an expression."""
    row = []
    for member, name in zip(members, rule.members, strict=True):
        if expression not in member:
            raise FusionError(f"{name} has no expression {expression!r}; recompute {name}")
        row.append(member[expression])
    check_alike(row, rule.members)
    return row
