"""Nodes of several recipes, scored on the same videos and put under each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rvos.errors import ConfigError
from rvos.evaluation.results import ExpressionScore
from rvos.formats import Dataset
from rvos.settings import nearest
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.planning.plan import select_videos, share_videos
from rvos_fusion.planning.results import Results, open_results
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.scores.scoring import score_nodes

Labelled = tuple[Results, Dataset, Sequence[Video]]
"""What every measure reads."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A recipe that is compared with others on the same videos, of its own data set; its name precedes its nodes'."""

    name: str
    results: Results
    dataset: Dataset
    videos: tuple[Video, ...]

    @property
    def labelled(self) -> Labelled:
        """What every measure reads."""
        return self.results, self.dataset, self.videos


def open_entrants(paths: Sequence[Path], overrides: Sequence[str], names: Sequence[str]) -> list[Entrant]:
    """Return the recipes, with `overrides` for each; the first one's videos, all or those of `names`, count.

    Raises a ConfigError for a recipe that cannot be used, or lacks videos or sentences of the first one.
    """
    stems = Counter(path.stem for path in paths)
    found: list[Entrant] = []
    for path in paths:
        recipe = read_recipe(path, overrides)
        dataset = recipe.dataset.open()
        videos = share_videos(dataset, found[0].videos, path) if found else select_videos(dataset, names=names)
        results = open_results(recipe, videos, str(path))
        found.append(Entrant(path.stem if stems[path.stem] == 1 else str(path), results, dataset, videos))
        for expected, video in zip(found[0].videos, videos, strict=True):
            if [one.id for one in expected.expressions] != [one.id for one in video.expressions]:
                raise ConfigError(
                    f"{path}: video {video.id} has other sentences than in the first recipe; take one data set"
                )
    return found


def choose_rows(entrants: Sequence[Entrant], nodes: Sequence[str]) -> list[tuple[Entrant, str]]:
    """Return the rows, node by node: each of the recipes that have it; without names what each recipe submits.

    Raises a ConfigError where no recipe has such a node, a StoreError where results are missing.
    """
    if not nodes:
        rows = [(one, one.results.choose_submission(None)) for one in entrants]
    else:
        known = {one.name: [node.name for node in one.results.plan.nodes if node.artefact is MASKS] for one in entrants}
        for node in nodes:
            if not any(node in own for own in known.values()):
                choices = [name for own in known.values() for name in own]
                raise ConfigError(f"no recipe has a node {node!r}; {nearest(node, list(dict.fromkeys(choices)))}")
        rows = [(one, node) for node in dict.fromkeys(nodes) for one in entrants if node in known[one.name]]
    for one, node in rows:
        one.results.require([node])
    return rows


def score_rows(rows: Sequence[tuple[Entrant, str]], *, jobs: int = 1) -> list[list[ExpressionScore]]:
    """Return the scores of each row, in the order of the videos."""
    found: dict[tuple[str, str], list[ExpressionScore]] = {}
    for entrant in {one.name: one for one, _ in rows}.values():
        nodes = [node for one, node in rows if one.name == entrant.name]
        scores = score_nodes(*entrant.labelled, nodes, jobs=jobs)
        found |= {(entrant.name, node): own for node, own in zip(nodes, scores, strict=True)}
    return [found[one.name, node] for one, node in rows]
