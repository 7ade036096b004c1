"""A file of corrections: it gives back what was written, in one order, and says in one line what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.errors import PipelineError
from rvos.masks.corrections import (
    Answer,
    Correction,
    FrameMask,
    find_misfits,
    read_corrections,
    write_corrections,
)
from rvos.masks.mask_sequences import decode
from rvos.videos import Expression, Video

SIZE = (6, 8)
FRAMES = ("00000", "00005", "00010", "00015")
VIDEO = Video("v", FRAMES, (Expression("0", "one"), Expression("1", "other")), tuple(Path(name) for name in FRAMES))


def make_mask() -> FrameMask:
    mask = np.zeros(SIZE, np.bool_)
    mask[1:4, 2:5] = True
    return FrameMask.of(mask)


ON_MASK = Correction("final", "v", "0", frame="00005", mask=make_mask(), engine="aot")
ON_BOX = Correction("final", "v", "0", frame="00010", box=(1, 2, 5, 4.5), engine="sam2")
OTHER = Correction("final", "v", "1", same_as=Answer("0"))
OF_NODE = Correction("soc", "v", "1", same_as=Answer("1", "mutr"))
EMPTY = Correction("final", "v", "1", empty=("00005", "00015"))
ALL = (ON_MASK, ON_BOX, OTHER, OF_NODE, EMPTY)


def test_a_line_is_what_a_person_can_read_and_mend(tmp_path: Path) -> None:
    write_corrections(tmp_path / "c.jsonl", ALL)
    lines = (tmp_path / "c.jsonl").read_text().splitlines()
    assert lines[1] == (
        '{"node": "final", "video": "v", "sentence": "0", "frame": "00010", "box": [1, 2, 5, 4.5], "engine": "sam2"}'
    )
    assert lines[3] == '{"node": "final", "video": "v", "sentence": "1", "same_as": {"sentence": "0"}}'


names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
corrections = st.one_of(
    st.builds(Correction, names, names, names, same_as=st.builds(Answer, names, st.none() | names)),
    st.builds(Correction, names, names, names, empty=st.tuples(names, names)),
    st.builds(Correction, names, names, names, keep=st.tuples(names, names)),
    st.builds(
        Correction,
        names,
        names,
        names,
        frame=names,
        box=st.tuples(*[st.floats(-1e9, 1e9)] * 4),
        engine=names,
    ),
    st.builds(Correction, names, names, names, frame=names, mask=st.just(make_mask()), engine=st.none() | names),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # it writes files
@given(st.lists(corrections, unique_by=lambda one: one.place), st.randoms())
def test_what_was_written_comes_back_whatever_the_order_of_the_lines(
    tmp_path_factory: pytest.TempPathFactory, written: list[Correction], random: st.random_module
) -> None:
    path = tmp_path_factory.mktemp("corrections") / "c.jsonl"
    write_corrections(path, written)
    first = path.read_bytes()
    assert read_corrections(path) == tuple(sorted(written, key=lambda one: one.place))
    lines = first.splitlines(keepends=True)
    random.shuffle(lines)
    path.write_bytes(b"\n".join(lines))
    write_corrections(path, read_corrections(path))
    assert path.read_bytes() == first


def test_a_mask_lies_in_the_file_itself(tmp_path: Path) -> None:
    write_corrections(tmp_path / "c.jsonl", [ON_MASK])
    (back,) = read_corrections(tmp_path / "c.jsonl")
    assert back.mask is not None
    (mask,) = decode((back.mask.runs,), back.mask.size)
    assert mask.sum() == 9
    assert mask[1:4, 2:5].all()


LINE = '{"node": "final", "video": "v", "sentence": "0", '


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("PK", "c.jsonl:2:1: not JSON"),
        ("[1]", "c.jsonl:2: [1] instead of an object"),
        (
            LINE + '"frame": "00005"}',
            "none of them given; say one of mask, box, same_as, empty, keep",
        ),
        (LINE + '"same_as": {"sentence": "1"}, "empty": ["00005", "00005"]}', "same_as and empty given"),
        (LINE + '"box": [0, 0, 1, 1], "engine": "sam2"}', "box without the frame"),
        (LINE + '"frame": "00005", "box": [0, 0, 1, 1]}', "box without an engine"),
        (LINE + '"frame": "00005", "box": [0, 0, 1], "engine": "sam2"}', "has 3 values; give 4"),
        (LINE + '"frame": "00005", "empty": ["00005", "00005"]}', "empty with a frame"),
        (LINE + '"frame": 5, "box": [0, 0, 1, 1], "engine": "sam2"}', "frame 5 is not"),
        (LINE + '"empty": ["00005", "00005"], "frane": "00005"}', "unknown key 'frane'; did you mean 'frame'?"),
        (LINE + '"frame": "00005", "mask": {"size": [6, 8], "counts": "0"}}', "run lengths"),
        (LINE + '"frame": "00005", "mask": {"size": [6, 8], "counts": "`1"}}', "a mask without a pixel"),
        (LINE + '"frame": "00005", "mask": {"size": [6, 99999999], "counts": "`1"}}', "99999999"),
        (LINE + '"same_as": {"sentence": "1"}}', "c.jsonl:2: corrects what line 1 does already"),
    ],
)
def test_what_is_no_correction_is_one_line_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(LINE + '"same_as": {"sentence": "1"}}\n' + line + "\n")
    with pytest.raises(PipelineError) as caught:
        read_corrections(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (replace(ON_MASK, sentence="l"), "v/l: no sentence 'l'; choose one of 0, 1"),
        (replace(OTHER, same_as=Answer("2")), "v/1: no sentence '2'"),
        (replace(ON_MASK, frame="00006"), "v/0: no frame '00006'; did you mean"),
        (replace(EMPTY, empty=("00005", "00020")), "v/1: no frame '00020'; did you mean"),
        (replace(EMPTY, empty=("00015", "00005")), "v/1: empty from 00015 to 00005, which is before it"),
        (replace(ON_BOX, box=(1, 2, 9, 4)), "v/0, frame 00010: box 1, 2, 9, 4 is none inside of the frame of 8 x 6"),
        (replace(ON_BOX, box=(5, 2, 1, 4)), "box 5, 2, 1, 4 is none inside"),
        (replace(ON_BOX, box=(-1, 2, 1, 4)), "box -1, 2, 1, 4 is none inside"),
        (
            replace(ON_MASK, mask=FrameMask.of(np.ones((8, 6), np.bool_))),
            "a mask of 8 x 6 pixels (H x W), frames of 6 x 8",
        ),
        (replace(ON_MASK, sentence="1", frame="00010"), "a mask in frame 00010, carried by aot contradict each other"),
        (Correction("final", "v", "1", keep=("00015", "00015")), "kept from 00015 to 00015 contradict each other"),
        (replace(OTHER, sentence="0", same_as=Answer("1")), "each is to be the same as the next: 0, 1, 0"),
    ],
)
def test_what_does_not_fit_the_video_is_one_line(odd: Correction, message: str) -> None:
    assert list(find_misfits(ALL[:3] + ALL[4:], VIDEO, SIZE)) == []
    (problem,) = find_misfits(
        [*(one for one in ALL if one.node == "final" and one.place != odd.place), odd], VIDEO, SIZE
    )
    assert message in problem
