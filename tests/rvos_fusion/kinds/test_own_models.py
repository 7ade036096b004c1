"""Models of users in a recipe: a module beside it, and the same model as a program of another environment."""

from __future__ import annotations

import io
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_data import write_split

from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.programs.process import Program, _collect
from rvos_fusion.commands.cli import main
from rvos_fusion.commands.new_runner import write_runner

DOCUMENT = Path(__file__).parents[3] / "docs" / "own_model.md"
MODELS = (
    "models={mine: {runner: 'my_model:build', options: {level: 120}}, "
    f"theirs: {{runner: command, command: [{sys.executable}, their_model.py], options: {{level: 120}}}}}}"
)
STAGES = "stages={one: {both: {fuse: [mine, theirs], threshold: 2}}}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with two models beside it that are written as the document says."""
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=2)
    code = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    for name, text in zip(
        ("my_model.py", "their_model.py", "still_engine.py", "their_engine.py", "their_judge.py"), code, strict=True
    ):
        (tmp_path / name).write_text(text)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[int, int]]:
    """Run the recipe; return how many results of each node were made and found."""
    capsys.readouterr()
    sets = ["--set", MODELS, "--set", STAGES, "--set", "submission=both"]
    assert main(["run", "pipeline.yaml", "--quiet", "--json", "--device", "cpu", *sets, *words]) == 0
    rows = json.loads(capsys.readouterr().out)["nodes"]
    return {row["node"]: (row["done"], row["reused"]) for row in rows}


def test_both_give_the_same_masks_are_fused_and_are_reused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys) == dict.fromkeys(("mine", "theirs", "both"), (2, 0))
    store = Store(folder / "runs")
    own = store.read("mine", "video1")
    other = store.read("theirs", "video1")
    assert [one.expression for one in own] == ["0", "1", "2"]
    frames = [folder / f"data/valid/JPEGImages/video1/{name}.jpg" for name in own[0].frames]
    assert all(path.is_file() for path in frames)
    for first, second in zip(own, other, strict=True):
        assert first.masks().any()
        assert np.array_equal(first.masks(), second.masks())
        np.testing.assert_allclose(first.scores, second.scores, atol=1e-6)
        assert (first.scored, second.scored) == (True, True)
    assert run(capsys) == dict.fromkeys(("mine", "theirs", "both"), (0, 2))
    assert [path.name for path in (folder / "runs/commands/theirs").iterdir() if path.is_dir()] == []


def test_an_edit_makes_again_what_it_concerns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    before = Store(folder / "runs").read("mine", "video0")[0].masks()
    source = (folder / "my_model.py").read_text()
    # As long as before, and within the same second.
    (folder / "my_model.py").write_text(source.replace("axis=3) > self", "axis=3) < self"))
    assert run(capsys) == {"mine": (2, 0), "theirs": (0, 2), "both": (2, 0)}
    assert not np.array_equal(before, Store(folder / "runs").read("mine", "video0")[0].masks())
    program = folder / "their_model.py"
    program.write_text(program.read_text().replace("axis=2) > ", "axis=2) < "))
    assert run(capsys)["theirs"] == (2, 0)
    assert run(capsys, "--set", "models.theirs.timeout=60")["theirs"] == (0, 2)


def test_a_program_that_fails_is_quoted_and_goes_on_where_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = folder / "their_model.py"
    whole = program.read_text()
    # It dies in the second video, after its first mask; the flag beside it does not belong to its code.
    program.write_text(
        whole.replace(
            "            scores[expression",
            "            if video == 'video1' and not Path('mended').exists():\n"
            "                raise ValueError('no luck')\n"
            "            scores[expression",
        )
    )
    assert main(["run", "pipeline.yaml", "--quiet", "--set", MODELS, "--set", STAGES, "--set", "submission=both"]) == 2
    error = capsys.readouterr().err
    assert re.search(
        r"failed: theirs: video1: .*their_model\.py ended with status 1: .*ValueError: no luck; all", error
    )
    (place,) = (folder / "runs/commands/theirs/video1").iterdir()
    assert (place / "masks/video1/0/00000.png").is_file()
    (folder / "mended").touch()
    assert run(capsys) == {"mine": (0, 2), "theirs": (1, 1), "both": (1, 1)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("print(line", "break  # print(line", r"video0: .* ended with status 0: it said nothing"),
        ("import numpy", "import time\ntime.sleep(60)\nimport numpy", r"video0: .* took longer than 0\.5 s"),
        ('["expressions"]', '["expressions"][1:]', r"video0/0/00000\.png: "),
        ("float(mask.mean())", "'high'", r"scores\.json: 0: give 3 finite numbers"),
    ],
    ids=["no answer", "too slow", "an expression less", "scores that are none"],
)
def test_a_program_that_breaks_its_promise_is_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    program = folder / "their_model.py"
    program.write_text(program.read_text().replace(old, new))
    limit = "models.theirs.timeout=" + ("0.5" if "sleep" in new else "600")
    sets = ["--set", MODELS, "--set", STAGES, "--set", "submission=both", "--set", limit]
    assert main(["run", "pipeline.yaml", "--quiet", "--videos", "video0", *sets]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [bool(re.search(message, line)) for line in lines] == [True, False]
    assert lines[1] == "blocked: 1 result that needs these"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "for expression in expressions",
            "for expression in expressions[:2]",
            "no masks for 1 of 3 expressions, first",
        ),
        ("expression=expression.id", "expression='7'", "video0/7: the model gave it"),
        ("yield MaskSequence", "yield dict() or list(); MaskSequence", "the model gave a list, expected MaskSequence"),
        ("masks, video", "masks[:, 1:], video", r"masks of 31 x 48 pixels \(H x W\), frames of 32 x 48"),
        ("import numpy", "import nowhere\nimport numpy", r"my_model\.py:3: ModuleNotFoundError: .*nowhere"),
    ],
    ids=["an expression less", "another expression", "no sequence", "another size", "a library that is missing"],
)
def test_a_runner_that_breaks_its_promise_is_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    module = folder / "my_model.py"
    module.write_text(module.read_text().replace(old, new))
    sets = ["--set", MODELS, "--set", "stages={one: {both: {fuse: [mine], threshold: 1}}}", "--set", "submission=both"]
    assert main(["run", "pipeline.yaml", "--quiet", "--videos", "video0", "--device", "cpu", *sets]) == 2
    failed = capsys.readouterr().err.splitlines()[0]
    assert re.search(message, failed)
    assert Store(folder / "runs").videos("mine") == ()


@pytest.mark.parametrize(
    ("moved", "instead"),
    [
        ("from rvos.mask_sequences import MaskSequence", "MaskSequence"),
        ("from rvos.mask_sequences import (\n    MaskSequence,\n    SoftMaps as S,\n)", "MaskSequence, SoftMaps as S"),
        ("from rvos.videos import Video, MaskSequence", "Video, MaskSequence"),
        ("from training.loggers import Logger", "Logger"),
    ],
    ids=["a module that is gone", "several lines and another name", "a module without the name", "a gone package"],
)
def test_a_name_that_has_moved_is_refused_with_the_line_to_write(
    folder: Path, capsys: pytest.CaptureFixture[str], moved: str, instead: str
) -> None:
    module = folder / "my_model.py"
    module.write_text(module.read_text().replace("from rvos_fusion import MaskSequence", moved))
    sets = ["--set", MODELS, "--set", "stages={one: {both: {fuse: [mine], threshold: 1}}}", "--set", "submission=both"]
    assert main(["run", "pipeline.yaml", "--quiet", "--videos", "video0", "--device", "cpu", *sets]) == 2
    failed = capsys.readouterr().err.splitlines()[0]
    assert re.search(rf"my_model\.py:5: .*; write: from rvos_fusion import {instead}$", failed)


@pytest.mark.parametrize(
    "line", ["from rvos.masks import nothing", "from my_parts import Video", "import rvos.nowhere"]
)
def test_no_line_is_given_for_what_never_was_public(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    module = folder / "my_model.py"
    module.write_text(module.read_text().replace("from rvos_fusion import MaskSequence", line))
    sets = ["--set", MODELS, "--set", "stages={one: {both: {fuse: [mine], threshold: 1}}}", "--set", "submission=both"]
    assert main(["run", "pipeline.yaml", "--quiet", "--videos", "video0", "--device", "cpu", *sets]) == 2
    assert re.search(r"my_model\.py:5: .*Error: .*; correct the module", capsys.readouterr().err.splitlines()[0])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("models.mine.runner=my_model:built", r"my_model\.py has no function built"),
        ("models.mine.runner=no_model:build", r"no module no_model in .* nor on the path"),
        ("models.mine.runner=sok", r"runner 'sok' is unknown; did you mean 'soc'\? Your own is named module:function"),
        ("models.theirs.command=[no/such/python, x.py]", r"theirs: no program no/such/python"),
        ("models.theirs.command=[]", r"command is empty"),
        ("models.theirs.files=[gone.txt]", r"theirs: .*gone\.txt: no such file"),
        ("models.mine.checkpoint=gone.pth", r"mine: .*gone\.pth: no such checkpoint"),
    ],
)
def test_what_cannot_work_is_found_before_anything_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], value: str, message: str
) -> None:
    sets = ["--set", MODELS, "--set", STAGES, "--set", "submission=both", "--set", value]
    for command in ("doctor", "run"):
        assert main([command, "pipeline.yaml", *sets]) == 2
        assert re.search(message, capsys.readouterr().err)
    assert not (folder / "runs").exists()


def test_a_package_counts_as_a_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "parts").mkdir()
    (folder / "parts/__init__.py").touch()
    (folder / "parts/level.py").write_text("LEVEL = 120\n")
    source = (folder / "my_model.py").read_text()
    source = source.replace("import numpy", "from parts.level import LEVEL\nimport numpy")
    (folder / "parts/model.py").write_text(source.replace("return Runner(", "return Runner(LEVEL) or ("))
    own = ["--set", "models.mine.runner=parts.model:build"]
    assert run(capsys, *own)["mine"] == (2, 0)
    assert run(capsys, *own)["mine"] == (0, 2)
    (folder / "parts/level.py").write_text("LEVEL = 250\n")
    assert run(capsys, *own)["mine"] == (2, 0)


def test_an_entry_point_of_an_installed_package_is_a_runner(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = folder / "site"
    (site / "bright-1.0.dist-info").mkdir(parents=True)
    (site / "bright-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: bright\nVersion: 1.0\n")
    (site / "bright-1.0.dist-info/entry_points.txt").write_text("[rvos.runners]\nbright = bright_model:build\n")
    (site / "bright_model.py").write_text((folder / "my_model.py").read_text())
    monkeypatch.syspath_prepend(str(site))
    assert run(capsys, "--set", "models.mine.runner=bright")["mine"] == (2, 0)


DETECTOR = """
import numpy as np
from rvos_fusion import FrameBoxes, FrameInstances, encode

class Detector:
    def detect(self, video, frames, nouns):
        mask = np.zeros((1, *video.read_size()), bool)
        mask[:, 4:20, 4:18] = True
        boxes = FrameBoxes(np.array([[4, 4, 18, 20]], np.float32), np.array([0.9], np.float32), ("thing",))
        return [[FrameInstances(boxes, encode(mask)) for _ in frames] for _ in nouns]

def build(settings, *, device):
    return Detector()
"""


def test_engines_and_detectors_of_installed_packages_take_part(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = folder / "site"
    (site / "parts-1.0.dist-info").mkdir(parents=True)
    (site / "parts-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: parts\nVersion: 1.0\n")
    (site / "parts-1.0.dist-info/entry_points.txt").write_text(
        "[rvos.engines]\nstill = still_engine:load_engine\n[rvos.detectors]\nseer = seeing_model:build\n"
    )
    (folder / "still_engine.py").rename(site / "still_engine.py")
    (site / "seeing_model.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(str(site))
    (folder / "weights.bin").write_bytes(b"none")
    sets = [
        "engines={s: {network: still, checkpoint: weights.bin}}",
        "detectors={d: {detector: seer}}",
        "stages={one: {p: {propagate: mine, engine: s}, m: {masklets: d, engine: s}, both: {fuse: [p], threshold: 1}}}",
    ]
    words = [word for value in sets for word in ("--set", value)]
    assert run(capsys, *words) == {"mine": (2, 0), "p": (2, 0), "m": (2, 0), "both": (2, 0)}
    store = Store(folder / "runs")
    own, carried = (store.read(name, "video0")[0] for name in ("mine", "p"))
    for mask in carried.masks():
        assert np.array_equal(mask, own.mask(own.pick_key_frame()))
    assert run(capsys, *words)["p"] == (0, 2)
    engine = site / "still_engine.py"
    engine.write_text(engine.read_text().replace("commit(self, masks):", "commit(self, masks):  # edited"))
    assert run(capsys, *words) == {"mine": (0, 2), "p": (2, 0), "m": (2, 0), "both": (2, 0)}
    assert main(["doctor", "pipeline.yaml", "--set", MODELS, *words, "--set", "engines.s.network=stil"]) == 2


BESIDE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
models: {mine: {runner: "my_model:build"}}
engines: {s: {network: "still_beside:load_engine", checkpoint: weights.bin}}
detectors: {d: {detector: "seeing_beside:build"}}
stages: {one: {p: {propagate: mine, engine: s}, m: {masklets: d, engine: s}}}
submission: {node: p}
"""


def test_engines_and_detectors_lie_beside_the_recipe_too(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "seeing_beside.py").write_text(DETECTOR)
    (folder / "still_engine.py").rename(folder / "still_beside.py")
    (folder / "weights.bin").write_bytes(b"none")
    (folder / "beside.yaml").write_text(BESIDE)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert main(["doctor", "../beside.yaml"]) == 0
    capsys.readouterr()
    words = ["run", "../beside.yaml", "--quiet", "--json", "--device", "cpu"]
    counts = []
    for _ in range(2):
        assert main(words) == 0
        counts.append({row["node"]: row["done"] for row in json.loads(capsys.readouterr().out)["nodes"]})
    assert counts == [dict.fromkeys(("mine", "p", "m"), 2), dict.fromkeys(("mine", "p", "m"), 0)]
    (folder / "still_beside.py").unlink()
    for command in ("doctor", "plan", "run"):
        assert main([command, "../beside.yaml"]) == 2
        assert f"rvos {command}: ../beside.yaml:4: engines.s: still_beside:load_engine: " in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["runner", "program"])
def test_the_templates_are_those_of_the_document(tmp_path: Path, kind: str) -> None:
    module, test = write_runner("a_new_one", tmp_path, kind=kind)
    assert f"```python\n{module.read_text()}```" in DOCUMENT.read_text(encoding="utf-8")
    scope: dict[str, object] = {"__file__": str(test)}
    sys.path.insert(0, str(tmp_path))
    try:
        exec(compile(test.read_text(), str(test), "exec"), scope)
        (tmp_path / "clip").mkdir()
        next(value for name, value in scope.items() if name.startswith("test_"))(tmp_path / "clip")  # type: ignore[operator]
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("a_new_one", None)


@pytest.mark.parametrize("name", ["no name", "demo", "json"])
def test_a_name_that_cannot_be_a_module_of_ones_own_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["new-runner", name, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_sequences_are_brought_into_the_order_of_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = folder / "my_model.py"
    module.write_text(module.read_text().replace("in expressions:", "in reversed(expressions):"))
    run(capsys)
    found: tuple[MaskSequence, ...] = Store(folder / "runs").read("mine", "video0")
    assert [one.expression for one in found] == ["0", "1", "2"]


@pytest.mark.parametrize("leave", ["import sys; sys.exit(0)", "import os; os._exit(0)", "raise BaseException", "1 / 0"])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_model_that_ends_the_process_costs_its_video(
    folder: Path, capfd: pytest.CaptureFixture[str], leave: str, jobs: str
) -> None:
    source = (folder / "my_model.py").read_text()
    start = "    def segment(self, video, expressions):\n"
    (folder / "my_model.py").write_text(
        source.replace(start, f"{start}        if video.id == 'video1':\n            {leave}\n")
    )
    sets = ["--set", MODELS, "--set", "stages={one: {both: {fuse: [mine], threshold: 1}}}", "--set", "submission=both"]
    assert main(["run", "pipeline.yaml", "--quiet", "--jobs", jobs, *sets]) == 1
    assert "failed: mine: video1: " in capfd.readouterr().err
    assert Store(folder / "runs").videos("mine") == ("video0",)


def test_what_a_model_prints_stays_out_of_the_output(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = (folder / "my_model.py").read_text()
    noise = "import os, sys\nprint('loading')\nos.write(1, b'deeper\\n')\nsys.stdout.close()\n"
    (folder / "my_model.py").write_text(source.replace("import numpy", f"{noise}import numpy"))
    sets = ["--set", MODELS, "--set", STAGES, "--set", "submission=both"]
    assert main(["run", "pipeline.yaml", "--quiet", "--json", *sets]) == 0
    printed = capfd.readouterr()
    assert len(json.loads(printed.out)["nodes"]) == 3
    assert sorted(printed.err.splitlines()) == ["deeper", "loading"]


CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("child.txt", "w").write(str(child.pid))
"""


def read_state(process: int) -> str:
    """Return the letter of a process's state; X where it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="states of processes are read as Linux shows them")
def test_what_a_program_has_started_ends_with_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = folder / "their_model.py"
    program.write_text(f"{CHILD}raise SystemExit(3)\n")
    sets = ["--set", MODELS, "--set", STAGES, "--set", "submission=both", "--videos", "video0"]
    assert main(["run", "pipeline.yaml", "--quiet", *sets]) == 2
    assert "ended with status 3" in capsys.readouterr().err
    child = int((folder / "child.txt").read_text())
    deadline = time.monotonic() + 600
    while read_state(child) not in "XZ" and time.monotonic() < deadline:
        time.sleep(0.01)  # the system ends a process a moment after it is told to
    assert read_state(child) in "XZ"


def test_a_program_that_outlives_its_workspace_is_asked_again(tmp_path: Path) -> None:
    echo = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    program = Program((sys.executable, "-c", echo), folder=tmp_path, log=tmp_path / "ws/log.txt")
    program.ask(tmp_path / "one/request.json", where="v", timeout=600)
    shutil.rmtree(tmp_path / "ws")
    program.ask(tmp_path / "two/request.json", where="w", timeout=600)


def test_a_line_without_an_end_is_taken_in_pieces(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Endless(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:
            assert size is not None
            assert 0 < size <= 1 << 16
            return super().readline(size)

    lines: queue.Queue[str | None] = queue.Queue()
    _collect(Endless("x" * (1 << 18)), lines, folder / "log.txt")
    assert (lines.get(), lines.empty()) == (None, True)
    assert (folder / "log.txt").stat().st_size == 1 << 18
    program = folder / "their_model.py"
    program.write_text(
        program.read_text().replace("    print(line, end", "    print('x' * 200_000)\n    print(line, end")
    )
    assert run(capsys)["theirs"] == (2, 0)


def test_another_run_s_folder_is_left_alone_and_a_dead_one_s_is_taken_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = folder / "their_model.py"
    whole = program.read_text()
    program.write_text(whole.replace("    print(line, end", "    assert (out / 'kept').exists()\n    print(line, end"))
    sets = ["--set", MODELS, "--set", STAGES, "--set", "submission=both", "--videos", "video0"]
    assert main(["run", "pipeline.yaml", "--quiet", *sets]) == 2
    (place,) = (folder / "runs/commands/theirs/video0").iterdir()
    living = place.with_name(f"{place.name.rpartition('-')[0]}-{os.getppid():x}")
    shutil.copytree(place, living)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (place / "masks/kept").touch()
    place.rename(place.with_name(f"{place.name.rpartition('-')[0]}-{dead.pid:x}"))

    assert run(capsys, "--videos", "video0")["theirs"] == (1, 0)
    assert [path.name for path in place.parent.iterdir()] == [living.name]
