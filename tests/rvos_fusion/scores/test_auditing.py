"""Answers that deserve a second look: what is flagged, and what is not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from small_data import FRAMES, write_split

from fusion.groups import Group
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video
from rvos_fusion.commands.cli import main
from rvos_fusion.scores.auditing import Doubt, audit_video

N_FRAMES = 12
SIZE = (40, 60)
NAMES = tuple(map(str, range(N_FRAMES)))
Groups = Sequence[Sequence[int]] | None


def place(lefts: Sequence[int | None], *, top: int = 10, side: int = 8) -> np.ndarray:
    """Return a square that stands at these places, or nowhere."""
    masks = np.zeros((N_FRAMES, *SIZE), np.bool_)
    for frame, left in enumerate(lefts):
        if left is not None:
            masks[frame, top : top + side, left : left + side] = True
    return masks


STILL = place([20] * N_FRAMES)


def audit(
    *answers: np.ndarray, texts: Sequence[str] = (), groups: Sequence[Sequence[int]] | None = None
) -> list[Doubt]:
    texts = texts or ["a cat"] * len(answers)
    expressions = tuple(Expression(str(number), text) for number, text in enumerate(texts))
    video = Video("v", NAMES, expressions, (Path("frame.jpg"),) * N_FRAMES)
    scores = np.ones(N_FRAMES, np.float32)
    found = {
        str(number): MaskSequence.from_masks(masks, video="v", expression=str(number), frames=NAMES, scores=scores)
        for number, masks in enumerate(answers)
    }
    grouped = None if groups is None else [Group(tuple(map(str, own))) for own in groups]
    return list(audit_video(video, found, grouped))


def flags(*answers: np.ndarray, **given: Sequence[str]) -> list[tuple[str, str]]:
    return [(doubt.flag, doubt.frame) for doubt in audit(*answers, **given)]


def test_a_steady_answer_is_not_doubted() -> None:
    assert flags(STILL) == []
    assert flags(place(range(10, 10 + N_FRAMES)), texts=["a cat that moves right"]) == []


def test_an_empty_answer_is_one_doubt_alone() -> None:
    assert flags(place([None] * N_FRAMES), texts=["a cat that moves right"]) == [("empty", "0")]


def test_twins_are_answers_of_different_groups_that_are_alike() -> None:
    near = place([21] * N_FRAMES)
    found = audit(STILL, STILL, near, groups=[[0, 1], [2]])
    assert [(doubt.expression, doubt.flag) for doubt in found] == [("0", "twin"), ("1", "twin"), ("2", "twin")]
    assert found[0].detail == "IoU 0.78 with 2"
    assert audit(STILL, STILL, groups=[[0, 1]]) == []
    assert audit(STILL, near) == []
    assert audit(STILL, place([24] * N_FRAMES), groups=[[0], [1]]) == []
    nothing = place([None] * N_FRAMES)
    assert {doubt.flag for doubt in audit(nothing, nothing, groups=[[0], [1]])} == {"empty"}


def test_flicker_is_more_than_two_short_gaps() -> None:
    thrice = [20, None, 20, None, 20, None, 20, 20, 20, 20, 20, 20]
    assert flags(place(thrice)) == [("flicker", "1")]
    assert flags(place([20, None, 20, None, 20, *[20] * 7])) == []
    long = [20, None, None, None, None, 20, None, 20, None, 20, 20, 20]
    assert flags(place(long)) == [("flicker", "1")]
    assert flags(place([20, None, None, None, None, None, 20, None, 20, None, 20, 20])) == []


def test_a_jump_is_more_than_half_a_diagonal_at_a_like_size() -> None:
    diagonal = 8 * 2**0.5
    assert flags(place([20] * 6 + [20 + int(diagonal / 2) + 1] * 6)) == [("jump", "6")]
    assert flags(place([20] * 6 + [20 + int(diagonal / 2)] * 6)) == []
    grown = np.concatenate([place([20] * N_FRAMES)[:6], place([30] * N_FRAMES, side=11)[6:]])
    assert flags(grown) == []


def test_a_sudden_size_is_more_than_threefold_either_way() -> None:
    small, large = place([20] * N_FRAMES, side=4), place([20] * N_FRAMES, side=7)
    assert flags(np.concatenate([small[:6], large[6:]])) == [("area", "6")]
    assert flags(np.concatenate([large[:6], small[6:]])) == [("area", "6")]
    assert flags(np.concatenate([place([20] * N_FRAMES, side=5)[:6], large[6:]])) == []


@pytest.mark.parametrize(
    ("text", "is_flagged"),
    [
        ("a cat that moves left", True),
        ("a cat that moves right", False),
        ("a cat that moves up", False),
        ("the cat on the left", False),
        ("moves left, then goes right", False),
    ],
)
def test_a_movement_against_the_sentence_is_doubted(text: str, is_flagged: bool) -> None:
    right = place(range(10, 10 + N_FRAMES))
    expected = [("direction", str(N_FRAMES - 1))] if is_flagged else []
    assert flags(right, texts=[text]) == expected
    assert flags(STILL, texts=[text]) == []


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run in which one member answers sentence 2 of the first video with the object of sentence 0."""
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, 2)
    for frame in FRAMES:
        source = Path(f"members/a/video0/0/{frame}.png")
        Path(f"members/a/video0/2/{frame}.png").write_bytes(source.read_bytes())
    assert main(["run", "pipeline.yaml", "--quiet"]) == 0
    return "pipeline.yaml"


def test_the_list_names_sentences_links_and_the_next_commands(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["audit", recipe, "a", "--flags", "twin"]) == 0
    shown = capsys.readouterr().out
    assert "twin 2: 2 sentences of 1 video" in shown
    assert f"rvos run {recipe} --force a --videos video0" in shown
    assert "--sentences video0/0 video0/2" in shown
    assert main(["audit", recipe, "a", "--flags", "twin", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["videos"], found["sentences"]) == (["video0"], ["video0/0", "video0/2"])
    address = urlsplit(found["doubts"][0]["link"])
    assert Path(address.path) == Path("runs/report.html").absolute()
    assert parse_qs(address.fragment) == {
        "view": ["masks"], "video": ["video0"], "expression": ["0"], "frame": [found["doubts"][0]["frame"]], "a": ["a"],
    }  # fmt: skip


def test_the_list_as_csv_and_for_some_sentences(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["audit", recipe, "a", "--csv", "--sentences", "video0/2"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["video"], row["expression"]) for row in rows} == {("video0", "2")}
    assert "twin" in {row["flag"] for row in rows}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a", "--sentences", "video0/7"], "no sentence 'video0/7'"),
        (["a", "--sentences", "video9/0"], "video9"),
        (["nothing"], "no node 'nothing'"),
    ],
)
def test_what_is_not_there_is_refused(
    recipe: str, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    capsys.readouterr()
    assert main(["audit", recipe, *words]) == 2
    assert told in capsys.readouterr().err
