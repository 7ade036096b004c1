"""The rows of the papers' tables that nodes of recipes stand for, with the numbers that the papers print.

A recipe says under `rows` which node is which row; `rvos table RECIPE --rows` prints the number beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rvos.errors import ConfigError
from rvos.formats import Dataset
from rvos.settings import Names, count
from rvos.videos import Video
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class PublishedData:
    """The split that a row was measured on.

    Args:
        format, split: as recipes name them.
        videos: how many it has; of A2D- and JHMDB-Sentences, annotated frames.
        sentences: None: no specification says.
    """

    name: str
    format: str
    split: str
    videos: int
    sentences: int | None = None

    def is_like(self, format_: str, split: str, videos: int, sentences: int) -> bool:
        """Tell whether nothing that is known of this split speaks against another one being the same."""
        pairs = ((self.format, format_), (self.split, split), (self.videos, videos), (self.sentences, sentences))
        return all(own is None or own == other for own, other in pairs)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A row of a table.

    Args:
        paper: the network or the challenge that it is known by.
        table: as the paper counts it; empty: the specification does not say.
        row: what the row is called.
        figure: name of the figure, of those that `rvos table` prints.
        number: in per cent.
        source: specification and section that the number is read from.
    """

    paper: str
    table: str
    row: str
    figure: str
    number: float
    data: PublishedData
    source: str

    @property
    def label(self) -> str:
        """Paper, table and row in one line."""
        return f"{', '.join(filter(None, (self.paper, self.table)))}: {self.row}"


_YOUTUBE = PublishedData("Ref-YouTube-VOS valid", "ref-youtube-vos", "valid", 202, 834)
_TEST_DEV = PublishedData("Ref-YouTube-VOS 2021 test-dev", "ref-youtube-vos", "valid", 202)
_DAVIS = PublishedData("Ref-DAVIS17 valid", "ref-davis17", "valid", 30, 244)
_MEVIS = PublishedData("MeViS valid", "mevis", "valid", 140, 2236)
_A2D = PublishedData("A2D-Sentences test", "a2d-sentences", "test", 1295)
_JHMDB = PublishedData("JHMDB-Sentences", "jhmdb-sentences", "test", 3 * 928)


def _of_j_and_f(paper: str, table: str, row: str, number: float, data: PublishedData, source: str) -> PublishedRow:
    return PublishedRow(paper, table, row, "J&F", number, data, source)


def _of_samples(paper: str, row: str, number: float, data: PublishedData) -> PublishedRow:
    return PublishedRow(paper, "", row, "mean IoU", number, data, "a2d_jhmdb.md")


_WINNER = ("LSVOS 2023, first place", "Table 1")
_REPORT = (_YOUTUBE, "fusion_recipe.md, section 6")
_CITD = ("CITD", "ablation")
_LADDER = (_TEST_DEV, "tracklets.md, section 9")
_REFINEMENT = ("LSVOS 2024, second place", "Table 2")
_SWEEP = (_MEVIS, "refinement.md, section 9")

PUBLISHED = {
    "lsvos2023/soc": _of_j_and_f(*_WINNER, "SOC", 67.5, *_REPORT),
    "lsvos2023/soc-aot": _of_j_and_f(*_WINNER, "SOC + AOT", 69.5, *_REPORT),
    "lsvos2023/stage1": _of_j_and_f(*_WINNER, "Stage I", 72.4, *_REPORT),
    "lsvos2023/stage2": _of_j_and_f(*_WINNER, "Stage II", 75.7, *_REPORT),
    "referformer/davis": _of_j_and_f(
        "ReferFormer", "", "Video-Swin-B on Ref-DAVIS17", 61.1, _DAVIS, "referformer.md, section 9"
    ),
    "soc/a2d": _of_samples("SOC", "Video-Swin-T, from scratch", 66.9, _A2D),
    "referformer/a2d": _of_samples("ReferFormer", "Video-Swin-T, from scratch", 64.1, _A2D),
    "referformer/jhmdb": _of_samples("ReferFormer", "Video-Swin-T, from scratch", 69.3, _JHMDB),
    "citd/frames": _of_j_and_f(*_CITD, "image-level baseline", 40.9, *_LADDER),
    "citd/propagation": _of_j_and_f(*_CITD, "+ propagation", 49.2, *_LADDER),
    "citd/grounding": _of_j_and_f(*_CITD, "+ transformer grounding", 56.4, *_LADDER),
    "citd/ensemble": _of_j_and_f(*_CITD, "+ tracklet-NMS and five models", 61.4, *_LADDER),
    "lsvos2024/coarse": _of_j_and_f(*_REFINEMENT, "coarse masks", 48.38, *_SWEEP),
    "lsvos2024/window15": _of_j_and_f(*_REFINEMENT, "W = 15", 53.66, *_SWEEP),
}


@dataclass(frozen=True)
class RowName(Names):
    """Marks the name of a published row."""

    def known(self) -> Sequence[str]:
        """Return the rows."""
        return tuple(PUBLISHED)


def find_published(recipe: Recipe) -> dict[str, PublishedRow]:
    """Return the rows that nodes of a recipe are, in the order in which it names them.

    Raises:
        ConfigError: it names none, or a node that it does not have.
    """
    build_graph(recipe)
    if not recipe.rows:
        raise ConfigError(
            f"{recipe.path}: --rows: no node is said to be a row of a paper's table; add rows: {{NODE: ROW}}, with ROW "
            f"one of {', '.join(PUBLISHED)}"
        )
    return {one.node: PUBLISHED[one.row] for one in recipe.rows}


def describe_data(rows: Iterable[PublishedRow], here: Dataset | None, videos: Sequence[Video]) -> Iterator[str]:
    """Yield for every split that rows were published on what it is, and whether the data at hand can be the same.

    Args:
        here: the data at hand; None: nothing is measured.
        videos: of them, those that are scored.
    """
    sentences = sum(len(video.expressions) for video in videos)
    ordered = sorted(rows, key=lambda row: row.data.name)
    for data, group in groupby(ordered, key=lambda row: row.data):
        figures = ", ".join(dict.fromkeys(row.figure for row in group))
        size = f"{count(data.videos, 'video')}" + (f", {count(data.sentences, 'sentence')}" if data.sentences else "")
        text = f"published: {figures} of {data.name} ({size})"
        if here is not None:
            text += f"; measured: {count(len(videos), 'video')}, {count(sentences, 'sentence')} of {here.root}"
            is_alike = data.is_like(here.format, here.split, len(videos), sentences)
            text += "" if is_alike else ", which is other data: not to be compared"
        yield text
