"""A data set that no module of the project knows: one `Format` and one line of the table, and every command works."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from data_folders import SIZE, index_map, write_json, write_png
from numpy.typing import NDArray

from rvos.dataset import Dataset
from rvos.evaluation.expressions import ExpressionEvaluator
from rvos.evaluation.figures.base import Figure
from rvos.evaluation.truth import IndexTruth
from rvos.formats import FORMATS, Format, Licence, open_dataset
from rvos.formats.archives.files import MaskArchive
from rvos.videos import Expression, Video
from rvos_fusion.commands.cli import main

N_VIDEOS, N_FRAMES = 3, 4


@dataclass(frozen=True)
class Stacked:
    """The index maps of a video, in one file."""

    path: Path

    def read(self, indices: Sequence[int] | None = None) -> IndexTruth:
        maps: NDArray[np.uint8] = np.load(self.path)
        return IndexTruth(maps if indices is None else maps[list(indices)])


def read_little(root: Path, split: str) -> Dataset:
    videos = []
    for name, sentences in json.loads((root / f"{split}.json").read_text()).items():
        frames = tuple(f"f{place}" for place in range(N_FRAMES))
        expressions = tuple(Expression(f"s{place}", text, (own,)) for place, (text, own) in enumerate(sentences))
        paths = tuple(root / "pictures" / f"{name}_{frame}.png" for frame in frames)
        videos.append(Video(name, frames, expressions, paths))
    return Dataset(
        "little-vos", root, split, tuple(videos), root / "pictures", lambda video: Stacked(root / f"{video.id}.npy")
    )


class LittleEvaluator(ExpressionEvaluator):
    """J, F, J&F, and how many sentences are understood at all."""

    figures: ClassVar[tuple[Figure, ...]] = (
        *ExpressionEvaluator.figures,
        Figure("understood", "understood", lambda scores: float(np.mean([score.j_mean > 0.5 for score in scores]))),
    )


FORMAT = Format(
    name="little-vos",
    title="Little-VOS",
    read=read_little,
    evaluator=LittleEvaluator,
    archive=MaskArchive(top="answers/"),
    default_split="all",
    official={"all": (N_VIDEOS, 9)},
    licence=Licence("CC0", "nobody"),
)


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "little-vos", __name__)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A vote over two imported members, one of which is late, on data in the layout above."""
    root = tmp_path / "data"
    maps = np.stack([index_map(step) for step in range(N_FRAMES)])
    names = [f"v{number}" for number in range(N_VIDEOS)]
    write_json(root / "all.json", {name: [["the left one", "1"], ["the right one", "2"]] for name in names})
    for name in names:
        np.save(root / f"{name}.npy", maps)
        for frame in range(N_FRAMES):
            write_png(root / "pictures" / f"{name}_f{frame}.png", np.full((*SIZE, 3), 90, np.uint8), mode="RGB")
            for member, late in (("sharp", 0), ("late", 4)):
                for place in range(2):
                    mask = np.roll(maps[frame] == place + 1, late, axis=1).astype(np.uint8) * 255
                    write_png(tmp_path / member / name / f"s{place}" / f"f{frame}.png", mask)
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"dataset: {{format: little-vos, root: {root}, split: all}}\nworkspace: {tmp_path / 'runs'}\n"
        "models:\n"
        f"  sharp: {{import: png, path: {tmp_path / 'sharp'}}}\n  late: {{import: png, path: {tmp_path / 'late'}}}\n"
        "stages:\n  one:\n    vote: {fuse: [sharp, late], threshold: 2}\nsubmission: {node: vote}\n"
    )
    return path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints; it must end with 0."""

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def finished(recipe: Path, said: Callable[..., str]) -> Path:
    said("run", recipe, "--quiet")
    return recipe


def test_it_is_planned_run_and_examined(recipe: Path, said: Callable[..., str]) -> None:
    assert "vote" in said("plan", recipe)
    said("run", recipe, "--quiet")
    assert f"the official split has {N_VIDEOS} videos, 9 expressions" in said("doctor", recipe, "--deep")
    sources: list[dict[str, Any]] = json.loads(said("licences", recipe, "--json"))["sources"]
    assert {"CC0"} == {source["licence"] for source in sources if source["what"] == "data set"}


def test_it_is_scored_by_its_own_evaluator(finished: Path, said: Callable[..., str]) -> None:
    rows = json.loads(said("table", finished, "sharp", "late", "vote", "--json"))["rows"]
    assert (rows[0]["j_and_f"], rows[0]["understood"]) == (100, 100)
    assert said("table", finished, "sharp").split()[:5] == ["node", "J", "F", "J&F", "understood"]
    said("table", finished, "--pairs", "--oracle", "--stability")
    settings = json.loads(said("sweep", finished, "vote", "--json"))["settings"]
    assert len(settings) == 2
    assert json.loads(said("fit", finished, "vote", "--force", "--json"))["node"] == "vote"


def test_its_page_shows_scores_and_curves(finished: Path, said: Callable[..., str]) -> None:
    said("report", finished, "--quiet")
    page = (finished.parent / "runs/report.html").read_text()
    assert f"Scores over {N_VIDEOS} videos" in page
    assert "threshold 2" in page


def test_its_archive_is_written_checked_and_scored(finished: Path, said: Callable[..., str], tmp_path: Path) -> None:
    archive = tmp_path / "runs/submission.zip"
    said("submit", finished)
    assert "valid and complete" in said("check-submission", archive)
    figures = json.loads(said("evaluate", tmp_path / "data", archive, "--format", "little-vos", "--json"))
    assert figures["understood"] == 0.5
    assert figures["expressions"] == 2 * N_VIDEOS


def test_its_answers_teach_another_network(finished: Path, said: Callable[..., str], tmp_path: Path) -> None:
    said("pseudo-labels", finished, "sharp", "--out", tmp_path / "labels", "--quiet")
    taught = open_dataset("ref-youtube-vos", tmp_path / "labels", "train")
    assert len(taught.videos) == N_VIDEOS
