"""What a kind may be able to do beside computing: sweeps, fits and the report ask for it, never for a class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fusion.fitting import PairFit
from fusion.groups import Group
from fusion.rules import FusionRule
from propagate.refinement import RefinementSettings
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import Artefact
from rvos_fusion.kinds.offers import Offer
from rvos_fusion.kinds.refinement_report import RefinedExpression

Values = NDArray[np.float64]


class Ballot(Protocol):
    """How a node votes: what sweeps and the report count."""

    @property
    def name(self) -> str:
        """The node."""
        ...

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes that vote, in the order of the rule's weights."""
        ...

    @property
    def rule(self) -> FusionRule:
        """Weights and thresholds."""
        ...

    def given_groups(self, video: Video) -> tuple[Group, ...] | None:
        """Return the groups that vote together; None where they can only be found from masks.

        Raises:
            InputError: the data set or a file should give them and does not.
        """
        ...

    def find_groups(self, video: Video, read: Callable[[str], Iterable[MaskSequence]]) -> tuple[Group, ...]:
        """Return the groups that vote together; `read` returns the stored masks of a node for this video.

        Raises:
            InputError: the data set or a file should give them and does not.
        """
        ...


class Combination(Ballot, Protocol):
    """How a node combines members, by whatever method: what `rvos fit` learns for."""

    def order_members(self) -> tuple[str, ...]:
        """Return the nodes whose hits cut the file's order into runs; none where groups are found otherwise."""
        ...

    def cut_runs(self, video: Video, hits: Values, pairs: PairFit | None) -> tuple[Group, ...]:
        """Return the groups by runs under a fit; None: the built-in numbers."""
        ...

    def working_rule(self) -> FusionRule:
        """Return the rule with what was fitted.

        Raises:
            InputError: a fitted file that cannot be used, or is for other members.
        """
        ...

    def fitted_file(self) -> Path | None:
        """Return the file of fitted numbers that the recipe names."""
        ...


class Gate(Protocol):
    """How a node empties answers: what sweeps and fits of gates read."""

    @property
    def name(self) -> str:
        """The node."""
        ...

    @property
    def source(self) -> str:
        """The node whose answers are kept or emptied."""
        ...

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes whose agreement and scores tell."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what decides."""
        ...

    @property
    def fitted(self) -> Path | None:
        """File of fitted numbers that the recipe names."""
        ...

    def chances(self, features: Values) -> Values:
        """Return the chance of a target from features `(E, K)`.

        Raises:
            InputError: a fitted file that cannot be used, or is for other members or features.
        """
        ...


@dataclass(frozen=True, slots=True)
class GroundedSentence:
    """How the tracklets of a video scored for a sentence.

    Args:
        scores: in the order of the tracklets.
        chosen: id of the tracklet that answers; None: the fallback does.
        why: the fallback does.
    """

    scores: tuple[float, ...]
    chosen: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """What a node that chooses among tracklets found for a video; the report shows it.

    Args:
        tracklets: node with the candidates.
        by: what scored them, in words.
        sentences: by expression.
    """

    tracklets: str
    by: str
    sentences: Mapping[str, GroundedSentence]


ReadArtefact = Callable[[str, Artefact], Any]


class Refiner(Protocol):
    """How a node refines masks by masklets: what sweeps count."""

    @property
    def name(self) -> str:
        """The node."""
        ...

    @property
    def rules(self) -> RefinementSettings:
        """How masklets are selected."""
        ...

    def inputs(self) -> tuple[str, ...]:
        """Return the nodes with the coarse masks and with the masklets."""
        ...

    def gather(self, video: Video, read: ReadArtefact) -> Iterable[RefinedExpression]:
        """Yield the coarse masks of every expression and what they have in common with the masklets of its noun.

        Args:
            read: returns the stored result of a node for this video.

        Raises:
            InputError: masklets of other frames or of another size.
        """
        ...


class Cleaner(Protocol):
    """How a node cleans masks: what sweeps count."""

    @property
    def name(self) -> str:
        """The node."""
        ...

    @property
    def source(self) -> str:
        """The node whose masks are cleaned."""
        ...


class Chooser(Protocol):
    """What a node chooses from: what the oracle rows of a table score."""

    @property
    def name(self) -> str:
        """The node."""
        ...

    def chooses_from(self) -> tuple[str, ...]:
        """Return the nodes whose results `offers` reads."""
        ...

    def offers(self, video: Video, read: ReadArtefact) -> Iterable[Offer]:
        """Yield what could have been chosen for the sentences of a video; for every video the same names in one order.

        Args:
            read: returns the stored result of a node for this video.
        """
        ...
