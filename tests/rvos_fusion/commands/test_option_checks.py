"""Options that many commands have: what none of them does."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_data import write_split

from rvos_fusion.commands.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=1)
    return tmp_path


@pytest.mark.parametrize("jobs", ["0", "-3"])
@pytest.mark.parametrize(
    "words",
    [
        "run pipeline.yaml",
        "table pipeline.yaml",
        "sweep pipeline.yaml final",
        "search pipeline.yaml",
        "report pipeline.yaml",
        "export final --workspace runs --out masks",
        "segment clip words",
        "evaluate data members/a --format ref-youtube-vos --split valid",
        "demo --out demo --only-copy",
    ],
)
def test_fewer_processes_than_one_are_refused(
    folder: Path, words: str, jobs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words.split(), "--jobs", jobs]) == 2
    assert f"--jobs {jobs}: give 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["pipeline.yaml", "corrections.jsonl"])
@pytest.mark.parametrize(
    "words",
    [
        "submit pipeline.yaml --out",
        "sweep pipeline.yaml final --plot",
        "schema --out",
        "export final --workspace runs --out",
    ],
)
def test_what_people_write_is_no_output(
    folder: Path, words: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("corrections.jsonl").touch()
    before = Path(target).read_bytes()
    assert main([*words.split(), target]) == 2
    assert f"{target}: is there already and is no output; name another file" in capsys.readouterr().err
    assert Path(target).read_bytes() == before


@pytest.mark.parametrize("format_", ["ref-youtube-vos", "mevis", "ref-davis17", "revos", "custom", "mosev2"])
def test_a_negative_seed_is_one_line(tmp_path: Path, format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["synthesize", "--seed", "-3", "--videos", "1", "--format", format_, "--out", str(tmp_path / "data")]
    assert main(words) == 2
    assert "seed -3" in capsys.readouterr().err
