"""A program of another environment as an engine: the one of the documentation, and what goes wrong with others."""

from __future__ import annotations

import gc
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_data import FRAMES, write_split

from propagate.engines.command.settings import CommandSettings
from propagate.engines.table import build_engine
from propagate.propagator import Propagator, Source
from rvos.errors import ConfigError, InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.videos import Video
from rvos_fusion.commands.cli import main

DOCUMENT = Path(__file__).parents[3] / "docs" / "own_model.md"
SIZE = (16, 24)
N_FRAMES = 5


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The engine of the documentation."""
    code = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "their_engine.py"
    path.write_text(next(own for own in code if "memories" in own))
    return path


def draw(frame: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return where the two squares are, `(2, H, W)`."""
    masks = np.zeros((2, *SIZE), np.bool_)
    masks[0, 2:6, 2 + frame : 6 + frame] = True
    masks[1, 9:14, 15 - frame : 20 - frame] = True
    return masks


@pytest.fixture
def video(tmp_path: Path) -> Video:
    """A red and a blue square that move."""
    paths = []
    for frame in range(N_FRAMES):
        picture = np.full((*SIZE, 3), 60, np.uint8)
        for mask, colour in zip(draw(frame), ((220, 30, 30), (30, 30, 220)), strict=True):
            picture[mask] = colour
        paths.append(tmp_path / f"{frame:05d}.png")
        Image.fromarray(picture).save(paths[-1])
    return Video("v", tuple(path.stem for path in paths), (), tuple(paths))


def sequences(video: Video, key: int) -> list[MaskSequence]:
    """Return two sequences that are right in their key frame alone."""
    found = []
    for row in range(2):
        masks = np.zeros((N_FRAMES, *SIZE), np.bool_)
        masks[key] = draw(key)[row]
        scores = (np.arange(N_FRAMES) == key).astype(np.float32)
        found.append(MaskSequence.from_masks(masks, video="v", expression=str(row), frames=video.frames, scores=scores))
    return found


def carry(program: Path, video: Video, *, key: int = 2, timeout: float | None = 600) -> list[MaskSequence]:
    """Return what the program makes of both sequences."""
    command = (sys.executable, program.name)
    settings = CommandSettings("command", command=command, timeout=timeout, beside=program.parent, name="theirs")
    engine = build_engine(settings, device=torch.device("cpu"), place=program.parent / "commands")
    return Propagator(engine).propagate(video, [Source(sequences(video, key))])[0]


@pytest.mark.parametrize("key", [0, 2, N_FRAMES - 1])
def test_each_object_is_followed_in_both_directions(program: Path, video: Video, key: int) -> None:
    carried = carry(program, video, key=key)
    for row, sequence in enumerate(carried):
        assert np.array_equal(sequence.masks(), [draw(frame)[row] for frame in range(N_FRAMES)])


def test_the_program_hears_which_memories_are_gone(program: Path, video: Video) -> None:
    program.write_text(program.read_text() + '    open("seen.txt", "a").write(json.dumps(request) + "\\n")\n')
    carry(program, video)
    requests = [json.loads(line) for line in (program.parent / "seen.txt").read_text().splitlines()]
    ended = [name for request in requests for name in request["ended"]]
    assert len(ended) == len(set(ended)) == 2
    assert {request["memory"] for request in requests} > set(ended)


def test_nothing_is_left_behind(program: Path, video: Video) -> None:
    carry(program, video)
    assert [path.name for path in (program.parent / "commands").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("raise SystemExit('no weights')", r"00003.png: .* ended with status 1: no weights"),
        ("import time; time.sleep(60)", r"00003.png: .* took longer than 2 s"),
        ("print(line, end='', flush=True); continue", r"00003.png: engine theirs wrote no mask of this frame"),
        (
            "request['out'] = str(Path(request['out']).with_name('00009.png'))",
            r"00003.png: engine theirs wrote no mask of this frame",
        ),
        (
            "mask = mask[1:]",
            r"mask by engine theirs: size \(15, 24\), expected that of the frame, \(16, 24\)",
        ),
        ("mask = mask * np.uint8(3)", r"00003.png: mask by engine theirs: value 253, expected 0 and 255"),
    ],
    ids=["dies", "hangs", "writes nothing", "another frame", "another size", "no mask"],
)
def test_a_program_that_fails_is_told_by_its_frame(program: Path, video: Video, line: str, message: str) -> None:
    before = "        Image.fromarray(mask"
    program.write_text(
        program.read_text().replace(before, f"        if '00003' in request['image']:\n            {line}\n{before}")
    )
    with pytest.raises(InputError, match=message):
        carry(program, video, timeout=2 if "sleep" in line else 600)


def test_an_engine_that_is_loaded_anew_keeps_its_files_when_the_old_one_goes(program: Path, video: Video) -> None:
    settings = CommandSettings("command", command=(sys.executable, program.name), beside=program.parent, name="theirs")
    old, new = (build_engine(settings, device=torch.device("cpu"), place=program.parent / "commands") for _ in range(2))
    for engine in (old, new):
        Propagator(engine).propagate(video, [Source(sequences(video, 0))])
    before = len(list((program.parent / "commands").glob("engine-theirs-*/request.json")))
    del old, engine
    gc.collect()
    assert (before, len(list((program.parent / "commands").glob("engine-theirs-*/request.json")))) == (2, 1)


def test_boxes_are_refused(program: Path, video: Video) -> None:
    settings = CommandSettings("command", command=("cat",))
    engine = build_engine(settings, device=torch.device("cpu"), place=program.parent)
    with pytest.raises(ConfigError, match="programs start from masks, not from boxes"):
        engine.open().start([], boxes=torch.zeros(1, 4))


def test_a_program_that_is_not_there_is_told_when_the_recipe_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no program lost"):
        CommandSettings("command", command=("lost",), beside=tmp_path)


@pytest.fixture
def recipe(program: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run of a recipe whose engine is the program."""
    monkeypatch.chdir(program.parent)
    write_split(program.parent, n_videos=2)
    engines = f"engines={{theirs: {{network: command, command: [{sys.executable}, their_engine.py]}}}}"
    stages = "stages={one: {carried: {propagate: a, engine: theirs}}}"
    return [
        "run",
        "pipeline.yaml",
        "--quiet",
        "--json",
        "--set",
        engines,
        "--set",
        stages,
        "--set",
        "submission=carried",
    ]


def test_a_recipe_makes_again_what_an_edited_program_carried(
    program: Path, recipe: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> dict[str, tuple[int, int]]:
        assert main(recipe) == 0
        return {row["node"]: (row["done"], row["reused"]) for row in json.loads(capsys.readouterr().out)["nodes"]}

    assert run()["carried"] == (2, 0)
    assert run()["carried"] == (0, 2)
    program.write_text(program.read_text().replace("< 40", "< 50"))
    assert run()["carried"] == (2, 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 / 0", "ended with status 1: "),
        ("import time; time.sleep(60)", "took longer than 3 s"),
        ("mask = mask[1:]", "mask by engine theirs: size"),
        ("request['out'] += '.png'", "engine theirs wrote no mask of this frame"),
    ],
    ids=["dies", "hangs", "another size", "another frame"],
)
def test_a_video_that_fails_is_one_line_and_does_not_stop_the_others(
    program: Path, recipe: list[str], capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    before = "        Image.fromarray(mask"
    failing = f"        if 'video0' in request['image']:\n            {line}\n{before}"
    program.write_text(program.read_text().replace(before, failing))
    assert main([*recipe, "--set", "engines.theirs.timeout=3"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "video0" in told
    assert message in told
    store = Store(program.parent / "runs")
    assert store.videos("carried") == ("video1",)
    assert store.read("carried", "video1")[0].frames == FRAMES
