"""What a format says of itself, and what is refused in its name."""

from __future__ import annotations

from pathlib import Path
from shutil import make_archive

import pytest
from data_folders import listed, write_predictions, write_ref_youtube_vos

from rvos.errors import ConfigError, InputError
from rvos.evaluation.evaluator import Evaluator
from rvos.formats import FORMATS, explain_assumed, find_format, open_dataset, open_evaluator, score_dataset
from rvos.videos import Video

VIDEOS = {"dog": listed({"0": "1", "1": "2"})}


@pytest.mark.parametrize("name", FORMATS)
def test_a_row_of_the_table_leads_to_the_format_of_that_name(name: str) -> None:
    found = find_format(name)
    assert found.name == name
    if name != "custom":  # there a file says what is measured
        assert isinstance(found.evaluator, type)
        assert issubclass(found.evaluator, Evaluator)
        assert len({figure.name for figure in found.evaluator.figures}) == len(found.evaluator.figures)


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="dataset format little-vos: unknown; choose from ref-youtube-vos"):
        find_format("little-vos")


def test_a_window_is_for_formats_of_single_frames(tmp_path: Path) -> None:
    assert [name for name in FORMATS if find_format(name).has_samples] == ["a2d-sentences", "jhmdb-sentences"]
    with pytest.raises(ConfigError, match="annotates whole videos, so window says nothing"):
        open_dataset("mevis", tmp_path, "valid_u", window=5)


def test_a_task_that_a_protocol_does_not_have_is_refused(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path, VIDEOS)
    with pytest.raises(ConfigError, match="task semi-supervised: unknown for ref-youtube-vos; it has one protocol"):
        open_evaluator(open_dataset("ref-youtube-vos", root, "valid"), task="semi-supervised")
    davis = write_ref_youtube_vos(tmp_path / "davis", {"dog": listed(dict.fromkeys("0123", "1"))})
    with pytest.raises(ConfigError, match="choose from unsupervised, semi-supervised"):
        open_evaluator(open_dataset("ref-davis17", davis, "valid"), task="interactive")


@pytest.mark.parametrize(
    ("format", "extra", "message"),
    [
        ("ref-davis17", "", r"dog: object 1 has 1 of the 4 sentences of Ref-DAVIS17\); write format: ref-youtube-vos"),
        ("ref-davis17", "mask_dict.json", r"it has mask_dict.json\); write format: mevis"),
        ("ref-youtube-vos", "mask_dict.json", r"it has mask_dict.json\); write format: mevis"),
        ("ref-youtube-vos", "DAVIS/", r"it has DAVIS\); write format: ref-davis17"),
        ("mevis", "davis_text_annotations/", r"it has davis_text_annotations\); write format: ref-davis17"),
        ("mevis", "", r"index maps, and no sentence with anno_id\); write format: ref-youtube-vos"),
        ("a2d-sentences", "", r"it has meta_expressions\); write format: ref-youtube-vos"),
        ("jhmdb-sentences", "", r"it has meta_expressions\); write format: ref-youtube-vos"),
        ("jhmdb-sentences", "Release/", r"it has Release/videoset.csv\); write format: a2d-sentences"),
        ("mevis", "jhmdb_sentences_samples_metadata.json", r"write format: jhmdb-sentences"),
        ("ref-youtube-vos", "jhmdb_sentences_samples_metadata.json", r"write format: jhmdb-sentences"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_data_that_bear_the_mark_of_another_format_are_refused_by_its_name(
    tmp_path: Path, format: str, extra: str, message: str, packed: bool
) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    if extra.endswith("/"):
        (root / extra).mkdir()
        (root / extra / "videoset.csv").write_text("")
    elif extra:
        (root / extra).write_text("{}")
    if packed:
        root = Path(make_archive(str(tmp_path / "packed"), "zip", root))
    with pytest.raises(InputError, match=message):
        open_dataset(format, root, "test" if "sentences" in format else "valid")


def test_a_mark_of_its_own_outweighs_that_of_another(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path, {"dog": listed(dict.fromkeys("0123", "1"))})
    (root / "DAVIS").mkdir()
    (root / "mask_dict.json").write_text("{}")
    assert open_dataset("ref-davis17", root, "valid").format == "ref-davis17"


def test_where_no_mark_decides_what_is_assumed_is_said(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path, {"dog": listed({str(place): str(1 + place // 4) for place in range(8)})})
    said = explain_assumed(open_dataset("ref-youtube-vos", root, "valid"))
    assert said is not None
    assert said.endswith("every object has 4 sentences, as in ref-davis17")
    assert explain_assumed(open_dataset("ref-davis17", root, "valid")) is None
    other = write_ref_youtube_vos(tmp_path / "other", {"dog": listed(dict.fromkeys("01234", "1"))})
    assert explain_assumed(open_dataset("ref-youtube-vos", other, "valid")) is None


def test_ref_davis17_is_not_scored_on_masks_by_expression(tmp_path: Path) -> None:
    videos = {"dog": listed({str(place): str(1 + place // 4) for place in range(8)})}
    root = write_ref_youtube_vos(tmp_path, videos, annotated=False)
    write_predictions(root / "valid/Annotations", videos)
    with pytest.raises(InputError, match="scored on index maps; add Annotations_unsupervised/480p"):
        score_dataset(open_dataset("ref-davis17", root, "valid"), root / "valid/Annotations")


def test_chosen_frames_keep_what_is_known_of_them() -> None:
    video = Video("v", ("0", "1", "2"), (), (Path("0"), Path("1"), Path("2")), annotated=(2,))
    assert video.annotated_frame == 2
    assert video.take([2, 0]).annotated_frame == 0
    assert video.take([0, 1]).annotated == ()
    with pytest.raises(InputError, match="v: no video around a single annotated frame"):
        _ = video.take([0, 1]).annotated_frame
