"""Looking executes nothing: no command but those that compute imports modules that a recipe names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from small_data import write_split

from rvos_fusion.commands.cli import COMMANDS, main

EXECUTING = {"run", "segment", "demo", "train", "parity"}
MARK = "from pathlib import Path\nPath('executed').open('a').write(__name__ + ' ')\n"
LOUD = MARK + "raise RuntimeError('I am not to be imported')\n"
FUNCTIONS = (
    "def build(settings, *, device):\n    return None\n\ndef load_engine(settings, *, device):\n    return None\n"
)
RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: none}
nouns: {}
models:
  beside: {runner: "look_model:build"}
  inside: {runner: "look_package.deep.model:build"}
  installed: {runner: look_installed}
engines: {e: {network: "look_engine:load_engine", checkpoint: weights.bin}}
detectors: {d: {detector: "look_detector:build"}}
judges: {j: {judge: command, command: [PYTHON, look_judge.py]}}
stages:
  one:
    carried: {propagate: beside, engine: e}
    found: {masklets: d, engine: e}
    refined: {refine: carried, masklets: found}
    judged: {judge: found, by: [j]}
    final: {fuse: [beside, inside, installed, refined, judged], threshold: 2}
submission: {node: final}
"""
LOOKS: dict[str, list[str]] = {
    "import": ["png", "members/a", "--root", "data", "--split", "valid", "--out", "imported"],
    "schema": [],
    "doctor": ["r.yaml"],
    "plan": ["r.yaml"],
    "nouns": ["r.yaml"],
    "sweep": ["r.yaml", "final"],
    "search": ["r.yaml"],
    "fit": ["r.yaml", "final", "--out", "fit.json"],
    "table": ["r.yaml"],
    "audit": ["r.yaml", "final"],
    "evaluate": ["members/a", "--recipe", "r.yaml"],
    "report": ["r.yaml"],
    "clean": ["r.yaml"],
    "correct": ["r.yaml", "final", "video0", "0", "--same-as", "1"],
    "export": ["r.yaml", "final", "--out", "masks"],
    "pseudo-labels": ["r.yaml", "final", "--out", "labels"],
    "submit": ["r.yaml"],
    "check-submission": ["runs/submission.zip", "--recipe", "r.yaml"],
    "checkpoint": ["look_model.py"],
    "fetch-weights": ["--help"],
    "licences": ["r.yaml"],
    "new-runner": ["look_model", "--out", "."],
    "synthesize": ["--help"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe whose every part is a module that leaves a mark when it is imported, and then raises."""
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=1)
    for place in ("look_model.py", "look_engine.py", "look_detector.py", "look_judge.py", "look_package/deep/model.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(LOUD + FUNCTIONS)
    for place in ("look_package/__init__.py", "look_package/deep/__init__.py"):
        (tmp_path / place).write_text(LOUD)
    metadata = tmp_path / "site/look-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: look\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[rvos.runners]\nlook_installed = look_site:build\n")
    (tmp_path / "site/look_site.py").write_text(LOUD + FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "weights.bin").write_bytes(b"none")
    (tmp_path / "r.yaml").write_text(RECIPE.replace("PYTHON", sys.executable))
    return tmp_path


def call(*words: str) -> int | str | None:
    """Run a command; how it ends is not the point."""
    try:
        return main(list(words))
    except SystemExit as end:
        return end.code


def test_every_command_is_looked_at_here() -> None:
    assert {*LOOKS, *EXECUTING} == set(COMMANDS)


@pytest.mark.parametrize("command", LOOKS)
def test_looking_imports_nothing(folder: Path, command: str) -> None:
    call(command, *LOOKS[command])
    assert not (folder / "executed").exists()
    assert not {name for name in sys.modules if name.startswith("look_")}


def test_looking_finds_modules_all_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("doctor", "r.yaml") == 0
    assert call("plan", "r.yaml") == 0
    (folder / "look_package/deep/model.py").unlink()
    assert call("doctor", "r.yaml") == 2
    assert "r.yaml:7: models.inside: look_package.deep.model:build: no module" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run", "r.yaml", "--quiet"], ["doctor", "r.yaml", "--load"]])
def test_what_executes_names_all_that_cannot_be_imported(
    folder: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert call(*command) == 2
    told = "".join(capsys.readouterr())
    for module in ("look_model", "look_package", "look_site", "look_engine", "look_detector"):
        assert module in (folder / "executed").read_text().split()
        assert module in told


def test_completion_imports_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rvos_fusion.commands.completion import list_nodes

    assert "refined" in list(list_nodes(Path("r.yaml")))
    assert not (folder / "executed").exists()


@pytest.mark.parametrize(
    "code",
    [
        "def build(settings):\n    return None\n",
        "def build(*, settings, device):\n    return None\n",
        "def build(settings, more, *, device):\n    return None\n",
        "def build(settings, *, device, more):\n    return None\n",
        "def build(settings, device, /):\n    return None\n",
        "class build:\n    def __init__(self, device):\n        pass\n",
    ],
)
def test_a_function_of_other_parameters_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], code: str) -> None:
    (folder / "look_model.py").write_text(MARK + code)
    assert call("doctor", "r.yaml") == 2
    assert "write def build(settings, *, device):" in capsys.readouterr().err
    assert not (folder / "executed").exists()


@pytest.mark.parametrize(
    "code",
    [
        "def build(settings, device):\n    return None\n",
        "def build(settings, **others):\n    return None\n",
        "def build(*settings, device='cpu', more=1):\n    return None\n",
        "class build:\n    def __init__(self, settings, device=None):\n        pass\n",
        "from functools import wraps\n@wraps(print)\ndef build():\n    return None\n",
        "from elsewhere import build\n",
        "build = lambda settings, device: None\n",
        "try:\n    import torch\nexcept ImportError:\n    def build(x): ...\nelse:\n    def build(x, *, device): ...\n",
        "def __getattr__(name):\n    return print\n",
    ],
)
def test_a_function_that_fits_or_may_fit_is_taken(folder: Path, code: str) -> None:
    (folder / "look_model.py").write_text(MARK + code)
    assert call("doctor", "r.yaml") == 0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("class Model:\n    def build(self, settings, *, device): ...\n", "has no function build"),
        ("def other():\n    def build(settings, *, device): ...\n", "has no function build"),
        ("def build(settings, *, device:\n", "no Python"),
        ("x = " + "-" * 100_000 + "1\n", "no Python"),
        ("build\0 = 1\n", "no Python"),
    ],
)
def test_a_module_without_the_function_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], code: str, message: str
) -> None:
    (folder / "look_model.py").write_text(code)
    assert call("doctor", "r.yaml") == 2
    assert message in capsys.readouterr().err
