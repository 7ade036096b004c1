"""Files of fitted numbers: small JSON that names its members and says how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusion.assignment import ScoreFit
from fusion.fitting import Logistic, PairFit
from rvos.errors import InputError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import read_json
from rvos.settings import name_type

FORMAT = "rvos-fusion fit"
VERSION = 1
_LARGEST = 1e6


@dataclass(frozen=True, slots=True)
class FittedFile:
    """What was fitted for a node.

    Args:
        members: nodes that it was fitted for, in their order.
        scores: by member, the chance of the right object from the mean score.
        pairs: what hits say about two sentences.
        deciders: nodes whose masks those hits are of.
        gate: by feature, the weights of the chance that a sentence has a target; with its intercept.
        features: names of the gate's features.
        threshold: chance below which the gate empties an answer.
        made: how: videos, gains and so on; only for readers.
    """

    members: tuple[str, ...]
    scores: Mapping[str, ScoreFit] = field(default_factory=dict)
    pairs: PairFit | None = None
    deciders: tuple[str, ...] = ()
    gate: Logistic | None = None
    features: tuple[str, ...] = ()
    threshold: float | None = None
    made: Mapping[str, Any] = field(default_factory=dict)

    def fits_of(self, members: Sequence[str], where: str) -> tuple[ScoreFit, ...]:
        """Return the fits of members. Raises InputError: fitted for other members."""
        if set(members) - set(self.scores):
            raise InputError(
                f"{where}: fitted for {', '.join(self.scores) or 'no members'}, not for {', '.join(members)}; fit again"
            )
        return tuple(self.scores[member] for member in members)


def write_fitted(path: Path, fitted: FittedFile) -> None:
    """Write the file. Raises StoreError: it cannot be written."""
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION, "members": list(fitted.members)}
    if fitted.scores:
        content["scores"] = {
            name: {"slope": fit.slope, "intercept": fit.intercept}
            | ({"presence": fit.presence} if fit.presence else {})
            for name, fit in fitted.scores.items()
        }
    if fitted.pairs is not None:
        content["pairs"] = {"slope": fitted.pairs.slope, "even": fitted.pairs.even, "members": list(fitted.deciders)}
    if fitted.gate is not None:
        weights = dict(zip(fitted.features, fitted.gate.weights, strict=True))
        content["gate"] = {"weights": weights, "intercept": fitted.gate.intercept, "threshold": fitted.threshold}
    content["made"] = dict(fitted.made)
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def read_fitted(path: Path) -> FittedFile:
    """Return what a file holds. Raises InputError: no such file, not of this form, or of another version."""
    content = _expect(read_json(path), dict, f"{path}")
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: not a file of `rvos fit`; fit again or name another file")
    if content.get("version") != VERSION:
        raise InputError(f"{path}: version {content.get('version')!r} of fitted files, expected {VERSION}; fit again")
    gate, features, threshold = _read_gate(content.get("gate"), f"{path}: gate")
    pairs, deciders = _read_pairs(content.get("pairs"), f"{path}: pairs")
    scores = {
        name: _read_score(fit, f"{path}: {name}")
        for name, fit in _expect(content.get("scores", {}), dict, f"{path}: scores").items()
    }
    members = _names(content.get("members"), f"{path}: members")
    made = _expect(content.get("made", {}), dict, f"{path}: made")
    return FittedFile(members, scores, pairs, deciders, gate, features, threshold, made)


def _read_pairs(value: Any, where: str) -> tuple[PairFit | None, tuple[str, ...]]:
    if value is None:
        return None, ()
    fit = PairFit(_number(value, "slope", where), _number(value, "even", where))
    return fit, _names(value.get("members"), f"{where}: members")


def _read_score(value: Any, where: str) -> ScoreFit:
    slope, intercept = _number(value, "slope", where), _number(value, "intercept", where)
    return ScoreFit(slope, intercept, _number(value, "presence", where) if "presence" in value else 0.0)


def _read_gate(value: Any, where: str) -> tuple[Logistic | None, tuple[str, ...], float | None]:
    if value is None:
        return None, (), None
    weights = _expect(_expect(value, dict, where).get("weights"), dict, where)
    fit = Logistic(tuple(_number(weights, name, where) for name in weights), _number(value, "intercept", where))
    return fit, tuple(weights), None if value.get("threshold") is None else _number(value, "threshold", where)


def _names(value: Any, where: str) -> tuple[str, ...]:
    return tuple(_expect(name, str, where) for name in _expect(value, list, where))


def _expect(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise InputError(f"{where}: {name_type(value)}, expected {name_type(kind())}; fit again")
    return value


def _number(values: Any, name: str, where: str) -> float:
    value = _expect(values, dict, where).get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise InputError(f"{where}: {name} is {value!r}, expected a finite number; fit again")
    return float(value)
