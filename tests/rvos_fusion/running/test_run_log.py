"""The log file of a run: it holds what standard error showed and every result, and changes nothing of what is shown."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from small_data import write_split
from tqdm import tqdm

from rvos.errors import ConfigError
from rvos_fusion.commands.cli import main
from rvos_fusion.running.run_log import logged, name_log


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """The small recipe."""
    write_split(tmp_path)
    return str(tmp_path / "pipeline.yaml")


def read_log(folder: Path) -> list[str]:
    """Return the lines of the only log, without their times."""
    (path,) = (folder / "logs").iterdir()
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in path.read_text().splitlines()]


def test_a_run_logs_its_results_and_what_it_showed(
    recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["rvos", "run", "the recipe.yaml"])
    assert main(["run", recipe]) == 0
    shown = capsys.readouterr().err.splitlines()
    lines = read_log(Path(recipe).parent / "runs")
    assert set(shown) <= set(lines)
    assert lines[0].endswith(" UTC: rvos run 'the recipe.yaml'")
    assert "torch" in lines[2]
    done = [line for line in lines if re.fullmatch(r"done (a|b|c|ab|final) video\d \d+\.\d\d s", line)]
    assert len(done) == 5 * 3
    assert [line for line in lines if line.startswith("final: 3 done, 0 reused, 0 failed")]


def test_a_quiet_run_has_a_log_all_the_same(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(recipe).parent / "members/b/video1/0/00005.png").unlink()
    assert main(["run", recipe, "--quiet"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    lines = read_log(Path(recipe).parent / "runs")
    (failed,) = [line for line in lines if line.startswith("failed b video1")]
    assert failed.endswith("members/b/video1/0/00005.png: no such file; restore it")
    assert len([line for line in lines if line.startswith("blocked ")]) == 2


def test_each_run_has_a_log_of_its_own_beside_which_results_are_kept(recipe: str) -> None:
    runs = Path(recipe).parent / "runs"
    assert main(["run", recipe, "--quiet"]) == 0
    first = name_log(runs)
    (only,) = first.parent.iterdir()
    only.rename(only.with_name("earlier.log"))
    assert main(["run", recipe, "--quiet"]) == 0
    assert len(list(first.parent.iterdir())) == 2
    assert main(["clean", recipe]) == 0


def test_an_error_that_ends_a_run_stands_in_its_log(tmp_path: Path) -> None:
    with pytest.raises(ConfigError), logged(tmp_path / "logs/one.log"):
        raise ConfigError("a.yaml: wrong; correct it")
    assert read_log(tmp_path)[-2] == "error: a.yaml: wrong; correct it"


def test_a_fault_of_the_program_is_kept_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), logged(tmp_path / "logs/one.log"):
        print(1 // 0)
    (text,) = (path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "test_run_log.py" in text
    assert "ZeroDivisionError" in text


def test_bars_are_shown_and_not_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    with logged(tmp_path / "logs/one.log"):
        for number in tqdm(range(3), file=sys.stderr, leave=False, mininterval=0):
            tqdm.write(f"step {number}", file=sys.stderr)
    assert "\r" in shown.getvalue()
    assert sys.stderr is shown
    lines = read_log(tmp_path)
    assert [line for line in lines if "%" in line] == []
    assert lines[3:6] == ["step 0", "step 1", "step 2"]


def test_a_link_cannot_lead_a_log_elsewhere(tmp_path: Path, recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/logs").symlink_to(tmp_path / "elsewhere")
    assert main(["run", recipe, "--quiet"]) == 2
    assert "a link leads out of the workspace" in capsys.readouterr().err
    assert list((tmp_path / "elsewhere").iterdir()) == []
