"""A user's path through import, run, score, export, submit and check; and one clear line when something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_folders import listed, write_json, write_predictions, write_ref_youtube_vos
from PIL import Image
from small_data import FRAMES, write_split
from stored_results import find_result

from rvos_fusion.commands.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of the small recipe."""
    write_split(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "pipeline.yaml", "--quiet"]) == 0
    return tmp_path


def fail(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail with status 2 and one line, and return the line."""
    capsys.readouterr()
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_submit_check_and_score(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "pipeline.yaml", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["masks"] == 3 * 3 * len(FRAMES)
    manifest = json.loads(Path(printed["manifest"]).read_text())
    assert set(manifest) >= {"archive", "recipe", "checkpoints", "fingerprints", "versions", "dataset"}
    assert len(manifest["fingerprints"]) == 3
    assert main(["check-submission", printed["archive"]]) == 0
    assert "valid and complete: 3 videos, 9 expressions" in capsys.readouterr().out
    assert main(["evaluate", "data", printed["archive"], "--format", "ref-youtube-vos", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["expressions"] == 9
    assert scores["missing"] == []


def test_format_and_split_are_those_of_the_manifest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "pipeline.yaml", "--out", "s.zip"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "data", "s.zip", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "data", "s.zip", "--json", "--format", "ref-youtube-vos", "--split", "valid"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    manifest = json.loads(Path("s.provenance.json").read_text())
    manifest["dataset"]["split"] = "elsewhere"
    Path("s.provenance.json").write_text(json.dumps(manifest))
    assert "no expression file of split elsewhere" in fail(["evaluate", "data", "s.zip"], capsys)
    assert main(["evaluate", "data", "s.zip", "--split", "valid"]) == 0
    Path("s.provenance.json").unlink()
    assert fail(["evaluate", "data", "s.zip"], capsys).endswith(
        "s.zip: no manifest beside it names a format; give --format"
    )


def test_archive_and_manifest_are_the_same_every_time(folder: Path) -> None:
    assert main(["submit", "pipeline.yaml", "--out", "first.zip"]) == 0
    first = Path("first.zip").read_bytes(), Path("first.provenance.json").read_bytes()
    assert main(["submit", "pipeline.yaml", "--out", "first.zip"]) == 0
    assert (Path("first.zip").read_bytes(), Path("first.provenance.json").read_bytes()) == first


def test_what_is_missing_is_filled_with_black_and_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "pipeline.yaml", "--out", "whole.zip"]) == 0
    find_result(folder / "runs", "final", "video1").unlink()
    assert "for 1 of 3 videos, first video1" in fail(["submit", "pipeline.yaml"], capsys)
    assert main(["submit", "pipeline.yaml", "--out", "filled.zip", "--fill-missing"]) == 0
    said = capsys.readouterr().err
    assert said == "video1: no result of final for 3 of 3 expressions, filled with black masks, first video1/0\n"
    assert main(["check-submission", "filled.zip"]) == 0
    checked = capsys.readouterr().out
    assert "filled with black masks: video1/0, video1/1, video1/2\n" in checked
    assert "valid, but without results for 3 of 9 expressions" in checked
    assert "complete" not in checked
    Path("filled.provenance.json").rename("kept.json")
    assert main(["check-submission", "filled.zip", "--root", "data"]) == 0
    alone = capsys.readouterr().out
    assert "valid; 3 of 9 expressions are empty in every frame: video1/0, video1/1, video1/2\n" in alone
    Path("kept.json").rename("filled.provenance.json")
    with zipfile.ZipFile("whole.zip") as whole, zipfile.ZipFile("filled.zip") as filled:
        assert whole.namelist() == filled.namelist()
        for name in filled.namelist():
            if "/video1/" not in name:
                assert filled.read(name) == whole.read(name)
            else:
                with Image.open(filled.open(name)) as image:
                    assert (image.mode, image.size, np.asarray(image).max()) == ("L", (48, 32), 0)
    assert json.loads(Path("filled.provenance.json").read_text())["filled with black masks"] == [
        "video1/0",
        "video1/1",
        "video1/2",
    ]


def test_an_archive_of_nothing_but_black_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder / "runs/nodes/final")
    assert "for 3 of 3 videos" in fail(["submit", "pipeline.yaml", "--fill-missing"], capsys)


def test_filling_nothing_changes_nothing(folder: Path) -> None:
    assert main(["submit", "pipeline.yaml", "--out", "whole.zip"]) == 0
    assert main(["submit", "pipeline.yaml", "--out", "same.zip", "--fill-missing"]) == 0
    assert Path("whole.zip").read_bytes() == Path("same.zip").read_bytes()


def test_a_team_file_goes_into_the_root_of_the_archive(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    team = b'{"team": "us",  "members": ["a"]}\n'
    Path("ours.json").write_bytes(team)
    assert main(["submit", "pipeline.yaml", "--out", "s.zip", "--team", "ours.json"]) == 0
    with zipfile.ZipFile("s.zip") as archive:
        assert archive.read("team.json") == team
    assert main(["check-submission", "s.zip"]) == 0
    for content, message in ((b"[1]", "instead of an object"), (b"{", "not JSON")):
        Path("ours.json").write_bytes(content)
        assert message in fail(["submit", "pipeline.yaml", "--team", "ours.json"], capsys)


def test_a_changed_recipe_must_run_before_it_is_submitted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = fail(["submit", "pipeline.yaml", "--set", "stages.stage2.final.threshold=1"], capsys)
    assert "final is missing, or made with other settings, for 3 of 3 videos" in line
    assert "rvos run pipeline.yaml" in line


def test_a_damaged_result_is_named_and_run_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = find_result(folder / "runs", "final", "video1")
    path.write_bytes(path.read_bytes()[:-5])
    assert "for 1 of 3 videos, first video1" in fail(["submit", "pipeline.yaml"], capsys)
    assert main(["run", "pipeline.yaml", "--quiet"]) == 0
    assert main(["submit", "pipeline.yaml"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--node", "finale"], "no node 'finale'"),
        (["--out", "pipeline.yaml/s.zip"], "cannot be written"),
    ],
)
def test_submissions_that_cannot_be_made(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in fail(["submit", "pipeline.yaml", *arguments], capsys)


def test_problems_of_an_archive_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile("bad.zip", "w") as archive:
        archive.writestr("Annotations/video0/0/00000.png", b"no image")
    assert main(["check-submission", "bad.zip", "--recipe", "pipeline.yaml", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert "Annotations/video0/0: missing 00005.png, 00010.png" in problems
    assert any("cannot be decoded" in problem for problem in problems)
    assert "--root" in fail(["check-submission", "bad.zip"], capsys)


def test_exported_masks_can_be_imported_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "final", "--workspace", "runs", "--out", "masks/Annotations", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["masks"] == 27
    with Image.open("masks/Annotations/video0/0/00005.png") as image:
        assert image.mode == "L"
        assert set(np.unique(np.asarray(image)).tolist()) <= {0, 255}
    arguments = ["import", "masks", "--recipe", "pipeline.yaml", "--workspace", "again", "--node", "theirs"]
    assert main(arguments) == 0
    assert "theirs: 3 of 3 videos fit, 0 problems" in capsys.readouterr().out
    assert main(["export", "theirs", "--workspace", "again", "--out", "second"]) == 0
    for path in sorted(Path("masks/Annotations").rglob("*.png")):
        assert (Path("second") / path.relative_to("masks/Annotations")).read_bytes() == path.read_bytes()


def test_export_names_what_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = fail(["export", "finale", "--workspace", "runs", "--out", "x"], capsys)
    assert "no results of node finale; it has a, ab, b, c, final" in line
    line = fail(["export", "final", "--workspace", "runs", "--out", "x", "--videos", "video9"], capsys)
    assert "final has no video video9" in line
    line = fail(["export", "../../etc", "--workspace", "runs", "--out", "x"], capsys)
    assert "node id" in line
    find_result(folder / "runs", "final", "video0").write_bytes(b"foreign")
    line = fail(["export", "final", "--workspace", "runs", "--out", "x"], capsys)
    assert "final/video0.masks" in line


def test_key_frames_are_exported_as_the_release_has_them(folder: Path) -> None:
    assert main(["export", "a", "--workspace", "runs", "--out", "x/Annotations", "--key-frames"]) == 0
    content = json.loads(Path("x/Annotations/key_frame.json").read_text())
    assert set(content) == {"video0", "video1", "video2"}
    assert isinstance(content["video0"]["0"]["index_info"]["class_index"], int)


VIDEOS = {"b": listed({"0": "1", "1": "2"}), "a": listed({"7": "2"})}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A data set and the layout of the 2023 release."""
    write_ref_youtube_vos(tmp_path / "data", VIDEOS, split="test")
    root = tmp_path / "release"
    for place in ("soc/Annotations", "soc/Annotations_AOT_class_index", "second_ensemble/Annotations_en2"):
        write_predictions(root / place, VIDEOS)
    key_frames = {v: {e: {"index_info": {"class_index": 2}} for e in c["expressions"]} for v, c in VIDEOS.items()}
    write_json(root / "soc/key_frame.json", key_frames)
    dump: dict[str, Any] = {
        video: {
            name: {"mask_logits": torch.full((3, 24, 32), 0.75), "class_info": [0.1, 0.3, 0.2]}
            for name in content["expressions"]
        }
        for video, content in VIDEOS.items()
    }
    (root / "model_pth").mkdir(parents=True)
    torch.save(dump, root / "model_pth/vit_huge.pth")
    return root


def test_the_whole_release_is_imported(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = release.parent / "runs"
    arguments = ["import", str(release), "--root", str(release.parent / "data"), "--split", "test"]
    assert main([*arguments, "--workspace", str(workspace), "--json"]) == 0
    members = json.loads(capsys.readouterr().out)["members"]
    assert [member["name"] for member in members] == ["en2", "soc", "soc_aot", "vit_huge_dump"]
    assert all(member["videos"] == 2 for member in members)
    assert sorted(path.name for path in (workspace / "nodes").iterdir()) == ["en2", "soc", "soc_aot", "vit_huge_dump"]


def test_what_does_not_fit_is_reported_and_the_rest_is_kept(release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (release / "soc/Annotations/a/7/00005.png").write_bytes(b"damaged")
    shutil.copytree(release / "soc/Annotations/b", release / "soc/Annotations/extra")
    arguments = ["import", str(release / "soc"), "--root", str(release.parent / "data"), "--split", "test"]
    workspace = release.parent / "runs"
    assert main([*arguments, "--workspace", str(workspace), "--kind", "png", "--node", "soc"]) == 2
    errors = capsys.readouterr().err
    assert "extra: not in the data set" in errors
    assert "00005.png: image cannot be decoded" in errors
    assert [path.name for path in (workspace / "nodes/soc").iterdir()] == ["b.masks"]


class Evil:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def test_a_dump_that_wants_to_execute_code(
    release: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(release)
    torch.save({"b": Evil()}, "evil.pth")
    assert main(["import", "evil.pth", "--root", str(release.parent / "data"), "--split", "test"]) == 2
    assert "evil.pth: refused, it names posix.mkdir" in capsys.readouterr().err
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "missing"], "missing: no such file or folder"),
        (["import", "data"], "data set: give --recipe RECIPE, or --root"),
        (["evaluate", "missing", "data", "--format", "mevis"], "missing: no such folder"),
        (["evaluate", "data", "missing", "--format", "ref-youtube-vos", "--split", "test"], "missing: no such folder"),
        (["check-submission", "missing.zip", "--root", "data", "--split", "test"], "missing.zip: no such file"),
    ],
)
def test_commands_say_what_is_missing(
    release: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(release.parent)
    if arguments[:2] == ["import", "missing"]:
        arguments = [*arguments, "--root", "data", "--split", "test"]
    assert message in fail(arguments, capsys)


def test_doctor_finds_nothing_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "pipeline.yaml", "--deep"]) == 0
    printed = capsys.readouterr().out
    assert "ready to run" in printed
    assert "all 9 frames are there" in printed


def test_doctor_names_everything_that_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "data/valid/JPEGImages/video1/00005.jpg").unlink()
    (folder / "data/valid/JPEGImages/video2/00005.jpg").write_bytes(b"damaged")
    (folder / "data/valid/Annotations/video2/00000.png").unlink()
    shutil.rmtree(folder / "members/c")
    assert main(["doctor", "pipeline.yaml", "--deep", "--json"]) == 2
    captured = capsys.readouterr()
    findings = json.loads(captured.out)["findings"]
    assert captured.err.startswith("rvos doctor: pipeline.yaml: cannot run yet: ")
    assert captured.err.endswith(" (and 3 more, listed above)\n")
    missing = [finding["text"] for finding in findings if finding["level"] == "missing"]
    for part in ("members/c", "video1/00005.jpg", "video2/00005.jpg", "video2/00000.png"):
        assert any(part in text for text in missing)
    assert len(missing) == 4


def test_doctor_asks_for_object_ids_where_groups_need_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "data/meta_expressions/valid/meta_expressions.json"
    path.write_text(path.read_text().replace(', "obj_id": "1"', "").replace(', "obj_id": "2"', ""))
    assert main(["doctor", "pipeline.yaml"]) == 2
    printed = capsys.readouterr().out
    assert "groups by object_id: 3 videos have expressions without obj_id" in printed
    assert "no ground truth" in printed


@pytest.mark.parametrize("workspace", ["taken", "taken/runs", "link"])
def test_a_place_that_is_no_folder_is_refused_before_a_run(
    folder: Path, capsys: pytest.CaptureFixture[str], workspace: str
) -> None:
    Path("taken").touch()
    Path("link").symlink_to("nowhere")
    for command in ("plan", "doctor", "run"):
        assert main([command, "pipeline.yaml", "--workspace", workspace]) == 2
        captured = capsys.readouterr()
        assert "is no folder; choose another workspace" in captured.out + captured.err


@pytest.mark.parametrize("name", ["../../outside", "/outside", "a/../../outside"])
@pytest.mark.parametrize("place", ["video", "expression", "frame"])
def test_ids_never_leave_the_workspace(folder: Path, capsys: pytest.CaptureFixture[str], place: str, name: str) -> None:
    path = folder / "data/meta_expressions/valid/meta_expressions.json"
    content = json.loads(path.read_text())
    video = content["videos"].pop("video0")
    if place == "expression":
        video["expressions"][name] = video["expressions"].pop("0")
    elif place == "frame":
        video["frames"][0] = name
    content["videos"][name if place == "video" else "video0"] = video
    path.write_text(json.dumps(content))
    before = sorted(folder.parent.rglob("*"))
    for command in (["run", "pipeline.yaml"], ["submit", "pipeline.yaml"], ["import", "members/a", "--root", "data"]):
        line = fail(command, capsys)
        assert f"{place} id" in line
        assert "meta_expressions.json" in line
    assert sorted(folder.parent.rglob("*")) == before


def test_a_full_disk_leaves_no_half_archive(folder: Path) -> None:
    """A limit on the size of files makes the system refuse the write, as a full disk does."""
    assert main(["submit", "pipeline.yaml", "--out", "s.zip"]) == 0
    before = Path("s.zip").read_bytes()
    program = (
        "import resource, sys; from rvos_fusion.commands.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
        "sys.exit(main(['submit', 'pipeline.yaml', '--out', 's.zip']))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert result.returncode == 2
    assert "s.zip: cannot be written" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert Path("s.zip").read_bytes() == before
    assert not list(folder.glob(".*part"))


def test_masks_are_not_imported_over_the_results_of_a_recipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in Path("runs").rglob("*.masks")}
    words = ["import", "members/a", "--recipe", "pipeline.yaml", "--workspace", "runs"]
    assert "holds results of the node 'final' of pipeline.yaml" in fail([*words, "--node", "final"], capsys)
    assert {path: path.read_bytes() for path in Path("runs").rglob("*.masks")} == before
    assert main([*words, "--node", "theirs"]) == 0


def test_the_folder_of_exported_run_lengths_can_be_imported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "final", "--workspace", "runs", "--as", "rle", "--out", "rle"]) == 0
    capsys.readouterr()
    assert main(["import", "rle", "--recipe", "pipeline.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "rle: 3 of 3 videos fit, 0 problems" in printed
    assert "rle: {import: rle, path: rle/masks.json}" in printed
