"""A recipe that was opened from Python: its plan, its run, its results."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvos.errors import StoreError
from rvos.formats import Dataset, open_evaluator
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import count
from rvos_fusion.planning.plan import make_plan, select_videos
from rvos_fusion.planning.results import open_results
from rvos_fusion.planning.variants import plan_variant
from rvos_fusion.planning.workspace import prepare_workspace
from rvos_fusion.recipe.graph import build_graph, check_files
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.recipe.variants import read_variants
from rvos_fusion.running.compute import RunMeans, compute
from rvos_fusion.running.variant_scores import score_variants, tabulate_variants
from rvos_fusion.running.variants import compute_variants
from rvos_fusion.scores.scoring import score_nodes
from rvos_fusion.scores.tables import TableRow as ScoreRow
from rvos_fusion.scores.tables import find_coverage, make_covered_table

Masks = NDArray[np.bool_]
_logger = logging.getLogger(__name__)

__all__ = ["OpenedRecipe", "PlannedNode", "ScoreRow", "open_recipe"]


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """How far a node is.

    Args:
        node: its name.
        stored: videos whose result is there, made with the recipe's present settings.
        missing: videos without.
    """

    node: str
    stored: int
    missing: int


class OpenedRecipe:
    """A recipe with its data set; made by `open_recipe`. Everything is read from disk when it is asked for.

    Args:
        recipe: as it was read.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._graph = build_graph(recipe)
        self._dataset: Dataset = recipe.dataset.open()

    def __repr__(self) -> str:
        return f"<OpenedRecipe {self._describe()}>"

    def _repr_html_(self) -> str:
        """Return how far every node is as a table, for notebooks."""
        rows = "".join(
            f"<tr><td>{row.node}</td><td>{row.stored}</td><td>{row.missing}</td></tr>" for row in self.plan()
        )
        head = "<tr><th>node</th><th>stored</th><th>missing</th></tr>"
        return f"<div>{escape(self._describe())}</div><table>{head}{rows}</table>"

    def _describe(self) -> str:
        videos, nodes = count(len(self._dataset.videos), "video"), count(len(self.nodes), "node")
        return f"{self._recipe.path}: {videos}, {nodes}; submits {self._recipe.submission}"

    @property
    def videos(self) -> list[str]:
        """Ids of the videos, in the order of the data set."""
        return [video.id for video in self._dataset.videos]

    @property
    def nodes(self) -> list[str]:
        """Names of the nodes, inputs before what reads them."""
        return [node.name for node in self._graph.nodes]

    def sentences(self, video: str) -> dict[str, str]:
        """Return the sentences of a video by the id of the expression.

        Raises:
            InputError: no such video.
        """
        return {expression.id: expression.text for expression in self._dataset.video(video).expressions}

    def images(self, video: str) -> list[Path]:
        """Return the image files of a video, one a frame; none where the data set has no images.

        Raises:
            InputError: no such video.
        """
        return list(self._dataset.video(video).image_paths)

    def plan(self) -> list[PlannedNode]:
        """Return how far every node is; nothing is computed."""
        results = open_results(self._recipe, self._dataset.videos)
        missing = {node: len(results.find_missing(node)) for node in self.nodes}
        return [PlannedNode(node, len(self.videos) - missing[node], missing[node]) for node in self.nodes]

    def run(
        self, *, videos: Sequence[str] = (), jobs: int = 1, device: str = "auto", quiet: bool = False
    ) -> list[PlannedNode]:
        """Compute what is missing and return how far every node is then.

        Args:
            videos: ids; default: all.
            jobs: processes side by side.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            quiet: no progress on standard error.

        Raises:
            ConfigError: files that the recipe names are missing.
            InputError: no such video.
            StoreError: some results could not be computed: the first, with its reason. All others are kept.
        """
        check_files(self._graph.nodes, self._recipe)
        prepare_workspace(self._recipe.workspace)
        chosen = select_videos(self._dataset, names=videos)
        make = partial(make_plan, self._recipe, self._graph, chosen, device=device)
        plan, tally = compute(make(), RunMeans(jobs, None, device, quiet), plan_again=make)
        if tally.n_missing:
            raise StoreError(
                f"{tally.first_reason} ({count(tally.n_missing, 'result is', 'results are')} missing in all)"
            )
        return [PlannedNode(row.node, row.done + row.reused, row.failed) for row in tally.rows(plan)]

    def sequences(self, node: str, video: str) -> tuple[MaskSequence, ...]:
        """Return the mask sequences of a node, with scores and key frames, in the order of the sentences.

        Raises:
            InputError: no such video.
            ConfigError: no such node, or one that stores no masks.
            StoreError: the result is missing, damaged, or made with other settings.
        """
        wanted = self._dataset.video(video)
        results = open_results(self._recipe, [wanted])
        results.choose_nodes([node])
        return results.of_video(video).read(node)

    def masks(self, node: str, video: str) -> dict[str, Masks]:
        """Return the masks `(T, H, W)` bool of a node by expression; raises as `sequences` does."""
        return {sequence.expression: sequence.masks() for sequence in self.sequences(node, video)}

    def truth(self, video: str) -> dict[str, Masks]:
        """Return the true masks `(T, H, W)` bool by expression, of those whose masks are known.

        Raises:
            InputError: no such video, or the split has no ground truth.
        """
        wanted = self._dataset.scored(self._dataset.video(video))
        read = self._dataset.read_truth(wanted)
        return {expression.id: read.masks(expression) for expression in wanted.expressions}

    def table(self, *nodes: str | Sequence[str], videos: Sequence[str] = (), jobs: int = 1) -> list[ScoreRow]:
        """Return J, F and J&F in per cent of nodes, each with the paired 95 % interval of its gain over the one before.

        Names may be given one by one or as lists. The inputs of the last node follow, as in `rvos table`. Without
        names: all nodes; one that lacks videos says so in `missing` and in a warning, and all figures are over the
        videos that all rows have. Without videos: all.

        Raises:
            InputError: the split has no ground truth.
            StoreError: a node lacks results.
        """
        chosen = select_videos(self._dataset, names=videos)
        results = open_results(self._recipe, chosen)
        rows = results.choose_nodes([name for part in nodes for name in ([part] if isinstance(part, str) else part)])
        coverage = find_coverage(results, chosen, rows)
        for note in coverage.notes():
            _logger.warning("%s", note)
        scores = score_nodes(results, self._dataset, coverage.videos, coverage.scored, jobs=jobs)
        return make_covered_table(open_evaluator(self._dataset).figures, rows, scores, coverage)

    def vary(
        self,
        node: str | None = None,
        *,
        settings: Mapping[str, Sequence[object]],
        run: bool = False,
        videos: Sequence[str] = (),
        jobs: int = 1,
        device: str = "auto",
    ) -> list[ScoreRow]:
        """Return the row of a node, then one for every combination of settings, with gains over the first row.

        Args:
            node: default: what the recipe submits.
            settings: values by key, such as `{"stages.stage2.stage2.threshold": [2, 3, "2 of 4"]}`.
            run: compute what is not stored; else rows say in `missing` how many videos they lack.
            videos: ids; default: all.
            jobs: processes side by side.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.

        Raises:
            ConfigError: a key that leads nowhere, or a value that a recipe refuses; nothing is computed then.
            InputError: the split has no ground truth.
            StoreError: the recipe's own node lacks results.
        """
        grid = {key: [_write_value(value) for value in values] for key, values in settings.items()}
        variants = read_variants(self._recipe, grid)
        own = open_results(self._recipe, select_videos(self._dataset, names=videos))
        chosen = own.choose_submission(node)
        if run:
            own, planned, _ = compute_variants(own, variants, chosen, RunMeans(jobs, None, device, quiet=True))
        else:
            planned = [plan_variant(variant, chosen, own) for variant in variants]
        own.require([chosen])
        scores = score_variants(own, planned, chosen, self._dataset, own.plan.videos, jobs=jobs)
        return tabulate_variants(open_evaluator(self._dataset).figures, chosen, planned, scores)


def _write_value(value: object) -> str:
    """Return a value as a recipe has it; text stays as it is, so that `2 of 4` is one."""
    return value if isinstance(value, str) else json.dumps(value)


def open_recipe(
    path: str | Path, settings: Mapping[str, object] | Sequence[str] = (), *, workspace: str | Path | None = None
) -> OpenedRecipe:
    """Return a recipe and its data set.

    Args:
        path: YAML file.
        settings: values that win over the file's, such as `{"stages.stage2.stage2.threshold": 2}`; paths in them are
            relative to the current folder.
        workspace: folder of the results; default: the recipe's.

    Raises:
        ConfigError: everything that is wrong with the recipe.
        InputError: the data set is missing or cannot be used.
    """
    pairs = [f"{key}={value}" for key, value in settings.items()] if isinstance(settings, Mapping) else settings
    place = None if workspace is None else Path(workspace).absolute()
    return OpenedRecipe(read_recipe(Path(path), tuple(pairs), workspace=place))
