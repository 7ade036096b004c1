"""Whatever stands in place of a file: one line that names it, exit status 2, nothing run, other videos done."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_files import KINDS, put
from small_data import write_split

from rvos.errors import InputError
from rvos_fusion.clips.own_videos import write_own_video
from rvos_fusion.commands.cli import main

FRAME = "data/valid/JPEGImages/video1/00000.jpg"
MASK = "members/b/video1/1/00005.png"
TRUTH = "data/valid/Annotations/video1/00005.png"
EXPRESSIONS = "data/meta_expressions/valid/meta_expressions.json"
META = "data/valid/meta.json"
ARCHIVE = "masks.zip"
RUN_LENGTHS = "masks.json"
DUMP = "masks.pth"
EVALUATE = ["evaluate", "data", "members/a", "--format", "ref-youtube-vos"]
USES = {
    "mask": (MASK, ["run", "pipeline.yaml", "--quiet"]),
    "frame": (FRAME, ["run", "pipeline.yaml", "--quiet"]),
    "truth": (TRUTH, EVALUATE),
    "expressions": (EXPRESSIONS, EVALUATE),
    "categories": (META, EVALUATE),
    "archive": (ARCHIVE, ["evaluate", "data", ARCHIVE, "--format", "ref-youtube-vos"]),
    "submission": (ARCHIVE, ["check-submission", ARCHIVE, "--root", "data"]),
    "run lengths": (RUN_LENGTHS, ["import", RUN_LENGTHS, "--root", "data"]),
    "dump": (DUMP, ["import", DUMP, "--root", "data"]),
}
# A folder is a good source of masks or run lengths, if an empty one.
FOLDERS = {"archive", "run lengths", "dump"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_split(tmp_path, n_videos=2)
    for name in (META, ARCHIVE, RUN_LENGTHS, DUMP):
        (tmp_path / name).write_text('{"videos": {}}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use", USES)
def test_one_line_names_the_file(project: Path, capfd: pytest.CaptureFixture[str], use: str, kind: str) -> None:
    name, words = USES[use]
    put(kind, project / name)
    status = main(words)
    shown = capfd.readouterr()
    if (use in FOLDERS and kind == "folder") or (use == "categories" and kind in ("dangling link", "link to itself")):
        return
    assert status == 2
    assert "Traceback" not in shown.out + shown.err
    assert Path(name).name in shown.err
    assert not list(project.rglob("was_run"))
    kept = [path.read_text() for path in project.glob("runs/failures/**/*") if path.is_file()]
    assert not [text for text in kept if "Traceback" in text]


@pytest.mark.parametrize("kind", KINDS)
def test_other_videos_go_on(project: Path, kind: str) -> None:
    put(kind, project / MASK)
    assert main(["run", "pipeline.yaml", "--quiet"]) == 2
    assert [path.stem for path in sorted((project / "runs/nodes/final").glob("*.masks"))] == ["video0"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
@pytest.mark.parametrize("is_folder", [True, False], ids=["frame", "video"])
def test_clips_of_one_s_own_are_looked_at_too(project: Path, kind: str, is_folder: bool) -> None:
    put(kind, project / FRAME)
    source = (project / FRAME).parent if is_folder else project / FRAME
    with pytest.raises(InputError, match=r"00000\.jpg"):
        write_own_video(project / "own", source, ["a thing"])
    assert not list(project.rglob("was_run"))
