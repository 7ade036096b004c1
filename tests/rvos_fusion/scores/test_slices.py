"""Scores by slices: those that partition add up to the whole, those by words overlap, and what decides is measured."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from data_folders import listed, write_ref_youtube_vos
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_data import write_split

from rvos.errors import ConfigError
from rvos.evaluation.results import ExpressionScore
from rvos.formats import open_dataset
from rvos.formats.reading.truth import RunLengthTruth
from rvos.language.sentence_words import find_spoken_of
from rvos.masks.mask_sequences import encode
from rvos.videos import Expression, Video
from rvos_fusion.commands.cli import main
from rvos_fusion.scores.slice_facts import ObjectFacts, SentenceFacts, describe_sentences, look_at
from rvos_fusion.scores.slices import SLICES, explain_slices, find_slices, slice_scores

PARTITIONS = [name for name, kind in SLICES.items() if not kind.overlaps]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the dog that isn't moving", ("motion", "negation")),
        ("the leftmost red car", ("position", "colour")),
        ("two men walking", ("motion", "plural")),
        ("the cat left of the sofa", ("position", "relation")),
        ("a person with no hat", ("negation",)),
        ("the zebra", ()),
        ("the getaway Redford made", ()),
    ],
)
def test_words_tell_what_is_spoken_of(text: str, expected: tuple[str, ...]) -> None:
    assert find_spoken_of(text) == expected


def facts(place: int, *, seen: ObjectFacts | None = None, text: str = "the dog", n_frames: int = 5) -> SentenceFacts:
    kind = ("motion", "place", "")[place % 3]
    return SentenceFacts(
        f"v{place // 2}", Expression(str(place), text, ("1",), kind=kind), n_frames, 1 + place % 4, 2, seen
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(0.001, 1)),
            st.one_of(st.none(), st.floats(0, 3)),
            st.floats(0, 1),
            st.integers(1, 40),
            st.sampled_from(["a red ball moving left", "the dog", "both cats"]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 2**32 - 1),
)
def test_slices_that_partition_add_up_to_the_whole(rows: list[tuple[float, float, float, int, str]], seed: int) -> None:
    known = [
        facts(place, seen=ObjectFacts(size, speed, presence), n_frames=n_frames, text=text)
        for place, (size, speed, presence, n_frames, text) in enumerate(rows)
    ]
    values = np.random.default_rng(seed).random(len(known))
    for by in SLICES:
        slices = find_slices(by, known)
        places = sorted(place for own in slices.values() for place in own)
        if by in PARTITIONS:
            assert places == list(range(len(known))), by
            total = sum(len(own) * values[own].mean() for own in slices.values())
            assert total == pytest.approx(values.sum())
        else:
            assert set(places) == set(range(len(known)))


def test_what_the_truth_says_of_an_object_is_measured() -> None:
    masks = np.zeros((4, 20, 30), bool)
    masks[0, 4:8, 2:6] = True
    masks[1, 4:8, 5:9] = True  # 3 pixels on, of an area of 16
    masks[3, :, :15] = True
    video = Video(
        "v", tuple("0123"), (Expression("0", "it", ("1",)), Expression("1", "that", ("2",))), (Path("x"),) * 4
    )
    rle = [None if not one.any() else {"size": [20, 30], "counts": encode(one[None])[0].decode()} for one in masks]
    truth = RunLengthTruth({"1": rle, "2": [None] * 4}, 4, (20, 30), "truth")
    shown, absent = look_at(video, truth)
    assert shown == ObjectFacts(pytest.approx((16 + 16 + 300) / 3 / 600), pytest.approx(3 / 4), 0.75)
    assert absent == ObjectFacts(None, None, 0.0)
    in_parts = [look_at(video, truth)[0]]
    assert in_parts == [shown]


def test_parts_of_a_long_video_are_measured_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    masks = random.random((7, 20, 30)) < 0.1
    rle = [{"size": [20, 30], "counts": encode(one[None])[0].decode()} for one in masks]
    video = Video("v", tuple("0123456"), (Expression("0", "it", ("1",)),), (Path("x"),) * 7)
    truth = RunLengthTruth({"1": rle}, 7, (20, 30), "truth")
    whole = look_at(video, truth)
    monkeypatch.setattr("rvos_fusion.scores.slice_facts.LARGEST_PART", 2 * 600)
    assert look_at(video, truth) == whole


def test_objects_of_a_class_and_sentences_of_an_object_are_counted(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path, {"dog": listed({"0": "1", "1": "1", "2": "2"})})
    objects = {"1": {"category": "dog"}, "2": {"category": "dog"}, "3": {"category": "cat"}}
    (root / "valid/meta.json").write_text(json.dumps({"videos": {"dog": {"objects": objects}}}))
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    found = describe_sentences(dataset, dataset.videos[0])
    assert [one.n_alike for one in found] == [2, 2, 2]
    assert [one.n_sentences for one in found] == [2, 2, 1]


def score_of(one: SentenceFacts, value: float) -> ExpressionScore:
    values = np.array([value])
    return ExpressionScore(one.video, one.expression.id, ("1",), ("0",), values, values)


def test_the_whole_is_the_last_row_and_words_say_that_they_overlap(tmp_path: Path) -> None:
    dataset = open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path, {"dog": listed({"0": "1"})}), "valid")
    known = [facts(0, text="the red dog moving"), facts(1, text="the dog")]
    found = slice_scores(dataset, "words", known, [[score_of(known[1], 1.0), score_of(known[0], 0.5)]])
    assert [(one.name, one.n_sentences, one.j_and_f) for one in found] == [
        ("motion", 1, (50,)),
        ("colour", 1, (50,)),
        ("none of these", 1, (100,)),
        ("all", 2, (75,)),
    ]
    assert explain_slices("words", found).endswith("the slices overlap: 3 places for 2 sentences")
    assert explain_slices("kind", found).endswith("the slices add up to all")


def test_what_the_data_do_not_tell_is_no_slice(tmp_path: Path) -> None:
    dataset = open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path, {"dog": listed({"0": "1"})}), "valid")
    known = describe_sentences(dataset, dataset.videos[0])
    for by in ("kind", "alike"):
        with pytest.raises(ConfigError, match=f"--by {by}: the data set states no"):
            slice_scores(dataset, by, known, [])
    four = write_ref_youtube_vos(tmp_path / "davis", {"dog": listed(dict.fromkeys("0123", "1"))})
    davis = open_dataset("ref-davis17", four, "valid")
    with pytest.raises(ConfigError, match="Ref-DAVIS17 scores all sentences of a video together; leave it out"):
        slice_scores(davis, "words", [], [])


def test_the_command_prints_slices_of_every_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_split(tmp_path, 2)
    recipe = str(tmp_path / "pipeline.yaml")
    assert main(["run", recipe, "--quiet"]) == 0
    capsys.readouterr()
    assert main(["table", recipe, "a", "final", "--by", "sentences", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    of_final = [one for one in content["slices"] if one["node"] == "final"]
    assert [(one["slice"], one["sentences"]) for one in of_final] == [("1", 2), ("2", 4), ("all", 6)]
    final = next(one for one in content["rows"] if one["node"] == "final")
    assert of_final[-1]["j_and_f"] == pytest.approx(final["j_and_f"], abs=1e-9)
    weighted = sum(one["sentences"] * one["j_and_f"] for one in of_final[:-1]) / 6
    assert weighted == pytest.approx(final["j_and_f"], abs=1e-9)
    assert main(["table", recipe, "final", "--by", "motion"]) == 0
    assert "the slices add up to all" in capsys.readouterr().out
    assert main(["table", recipe, "final", "--by", "words", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {"slice", "sentences", "node", "j", "f", "j_and_f"} <= rows[0].keys()
    assert rows[-1]["slice"] == "all" or rows[-1]["node"] != "final"
