"""`rvos search` on seeds that decided nothing: chosen on one half of the videos, measured on the other.

`python scripts/search_unseen.py 4459852 4459853 --out runs/unseen` draws 40 videos for each seed, lets the demo's
networks answer them (the stored results of an earlier call serve), and prints what the search takes on every other
video beside the best input of these and beside the demo's last vote, over the videos between; then the same with each
member made worthless.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rvos.errors import PipelineError
from rvos.evaluation.resampling import resample_gain, show_limits
from rvos.files.atomic import write_text
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos_fusion.commands.cli import main as rvos
from rvos_fusion.opened import open_recipe
from rvos_fusion.planning.plan import select_videos
from rvos_fusion.planning.results import open_all_results
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.scores.scoring import Values, score_nodes
from rvos_fusion.scores.search.reading import Members, score_candidates
from rvos_fusion.scores.search.searching import search
from rvos_fusion.synthetic.writers.files import write_dataset

_RECIPE = Path(__file__).parents[1] / "pipeline.yaml"
_MEMBERS = ("soc_aot", "mutr_aot", "referformer_aot", "smr_aot", "uninext_deaot")
_WRITTEN = "stage2"
_WORTHLESS = ("empty", "constant", "copy")
_VIDEOS, _DROP = 40, 0.015


Gain = tuple[float, float | None, float | None]
"""A gain and its interval."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A search on half of the videos, in J&F in per cent on the other half.

    Args:
        seed: of the videos.
        members: that were searched.
        taken: members of what was found, advised or not.
        copies: members that were left out as they are others.
        fusion: whether more than an input is advised.
        score: of what is advised.
        over_input, over_written: its gain over the best input of the searched half, and over the recipe's own vote,
            with their 95 % intervals.
        fusion_over_input, fusion_over_written: those of what was found, advised or not.
    """

    seed: str
    members: tuple[str, ...]
    taken: tuple[str, ...]
    copies: tuple[str, ...]
    fusion: bool
    score: float
    over_input: Gain
    over_written: Gain
    fusion_over_input: Gain
    fusion_over_written: Gain

    @property
    def is_clean(self) -> bool:
        """Whether nothing worthless is taken; of a member and its copy one is left out."""
        return not {"empty", "constant"} & set(self.taken) and bool(self.copies) == ("copy" in self.members)

    @property
    def gains(self) -> tuple[Gain, ...]:
        """All gains."""
        return self.over_input, self.over_written, self.fusion_over_input, self.fusion_over_written

    def __str__(self) -> str:
        own = (("input", self.over_input), (_WRITTEN, self.over_written))
        others = (("input", self.fusion_over_input), (_WRITTEN, self.fusion_over_written))
        advised, fused = (
            ", ".join(f"over {name} {gain:+.2f} {show_limits(low, high)}" for name, (gain, low, high) in rows)
            for rows in (own, others)
        )
        odd = "" if self.is_clean else "  WORTHLESS MEMBER TAKEN"
        return f"{self.seed}  {self.score:.2f} {advised}; takes {', '.join(self.taken)}; found {fused}{odd}"


def make_seed(seed: int, folder: Path) -> list[str]:
    """Draw the videos of a seed, let the demo's networks answer them; return what the recipe is to be set to."""
    if not (folder / "data").exists():
        write_dataset(folder / "data", seed=seed, n_videos=_VIDEOS, drop=_DROP)
    settings = [f"dataset.root={folder / 'data'}"]
    _run(settings, folder, _WRITTEN)
    return settings


def add_worthless(settings: Sequence[str], workspace: Path, folder: Path, names: Sequence[str]) -> list[str]:
    """Return the settings of a recipe that imports worthless members too, whose results are stored; `names`: videos."""
    opened = open_recipe(_RECIPE, list(settings), workspace=workspace)
    for place, member in enumerate(_MEMBERS):
        for video in names:
            sequences = opened.sequences(member, video)
            _write(folder / f"copy_{member}", video, [(one, one.runs) for one in sequences])
            if place == 0:
                shapes = [(one, np.zeros((one.n_frames, *one.size), bool)) for one in sequences]
                _write(folder / "empty", video, [(one, encode(mask)) for one, mask in shapes])
                for _, mask in shapes:
                    height, width = mask.shape[1:]
                    mask[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
                _write(folder / "constant", video, [(one, encode(mask)) for one, mask in shapes])
    imports = [path.name for path in sorted(folder.iterdir())]
    extended = [*settings, *(f"models.{name}={{import: rle, path: {folder / name}}}" for name in imports)]
    for name in imports:
        _run(extended, workspace.parent, name, workspace, names)
    return extended


def measure(seed: str, recipe: Recipe, names: Sequence[str], members: Sequence[str]) -> Measured:
    """Search on every other video, and measure on those between."""
    dataset = recipe.dataset.open()
    searched, others = (select_videos(dataset, names=own) for own in (names[0::2], names[1::2]))
    found = search((open_all_results(recipe, searched), dataset, searched), members, recipe.groups)
    results = open_all_results(recipe, others)
    chosen = [row.candidate for row in (found.advised, found.best_input, found.fusion)]
    scores = score_candidates((results, dataset, others), Members(tuple(members), recipe.groups), chosen)
    written: dict[str, list[float]] = {video.id: [] for video in others}
    for one in score_nodes(results, dataset, others, [_WRITTEN])[0]:
        written[one.video].append(one.j_and_f)
    ours, alone, fused = ([own[place] for own in scores] for place in range(len(chosen)))
    hand_written = [np.array(own) for own in written.values()]
    return Measured(
        seed,
        tuple("copy" if name.startswith("copy_") else name for name in members),
        found.names_of(found.fusion),
        tuple(found.copies),
        found.advised is found.fusion,
        100 * float(np.concatenate(ours).mean()),
        _compare(ours, alone),
        _compare(ours, hand_written),
        _compare(fused, alone),
        _compare(fused, hand_written),
    )


def list_spoilt() -> Iterator[tuple[str, ...]]:
    """Yield the members with each in turn empty, always the middle of the frame, or the same as the next one."""
    for place in range(len(_MEMBERS)):
        following = _MEMBERS[(place + 1) % len(_MEMBERS)]
        for name in _WORTHLESS:
            spoilt = f"copy_{following}" if name == "copy" else name
            yield (*_MEMBERS[:place], spoilt, *_MEMBERS[place + 1 :])


def measure_all(
    seed: str, settings: Sequence[str], workspace: Path, folder: Path, names: Sequence[str]
) -> list[Measured]:
    """Measure, and print, a search of all members, then those with a worthless one; the first is that of all."""
    extended = add_worthless(settings, workspace, folder, names)
    recipe = read_recipe(_RECIPE, extended, workspace=workspace)
    found = []
    for members in (_MEMBERS, *list_spoilt()):
        found.append(measure(seed, recipe, names, members))
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Measure every seed, then print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="+", type=int, metavar="SEED")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of data and results")
    options = parser.parse_args()
    found = []
    for seed in options.seeds:
        folder = options.out.absolute() / str(seed)
        settings = make_seed(seed, folder)
        names = [video.id for video in read_recipe(_RECIPE, settings).dataset.open().videos]
        found.append(measure_all(str(seed), settings, folder / "results", folder / "worthless", names))
    summarise(found)


def summarise(found: Sequence[Sequence[Measured]]) -> None:
    """Print the means over seeds, and what was taken that is worth nothing."""
    whole, spoilt = [own[0] for own in found], [one for own in found for one in own[1:]]
    for title, rows in (("all members", whole), ("one worthless", spoilt)):
        means = [
            float(np.mean([gain[0] for gain in gains])) for gains in zip(*(row.gains for row in rows), strict=True)
        ]
        highest = [[gain[2] for gain in gains] for gains in zip(*(row.gains for row in rows), strict=True)]
        below = [sum(high is not None and high < -0.5 for high in own) for own in highest]
        n_odd, n_fused = sum(not row.is_clean for row in rows), sum(row.fusion for row in rows)
        print(f"{title}: {len(rows)} searches, {n_fused} advise a fusion, {n_odd} take a worthless member")
        print(
            f"  advised: mean over input {means[0]:+.2f}, over {_WRITTEN} {means[1]:+.2f}; {below[0]} wholly below -0.5"
        )
        print(
            f"  found:   mean over input {means[2]:+.2f}, over {_WRITTEN} {means[3]:+.2f}; {below[2]} wholly below -0.5"
        )


def _compare(new: Sequence[Values], old: Sequence[Values]) -> Gain:
    differences = np.array([float((a - b).sum()) for a, b in zip(new, old, strict=True)])
    counts = np.array([len(own) for own in new])
    return 100 * float(differences.sum() / counts.sum()), *resample_gain(100 * differences, counts)


def _write(folder: Path, video: str, masks: Sequence[tuple[MaskSequence, Sequence[bytes]]]) -> None:
    """Write masks of a video as run lengths."""
    content = {
        one.expression: [{"size": list(one.size), "counts": text.decode()} for text in runs] for one, runs in masks
    }
    write_text(folder / f"{video}.json", json.dumps(content))


def _run(
    settings: Sequence[str], folder: Path, node: str, workspace: Path | None = None, videos: Sequence[str] = ()
) -> None:
    """Make the results of a node. Raises PipelineError: that failed."""
    words = [word for setting in settings for word in ("--set", setting)]
    place = ["--workspace", str(workspace or folder / "results")]
    chosen = ["--videos", *videos] if videos else []
    if rvos(["run", str(_RECIPE), *place, "--node", node, "--quiet", *words, *chosen]):
        raise PipelineError(f"{node} of {folder} could not be made")


if __name__ == "__main__":
    main()
