"""Official files by name: what is fetched, resumed and kept, what a person must click; from a hub on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rvos_fusion.commands.cli import main
from rvos_fusion.weights.downloads import PARTS

PATIENCE = 600.0
PROJECT = Path(__file__).parents[3]
NAMES = ("vocab.json", "merges.txt")


@pytest.fixture
def hub(hub: Any) -> Any:
    """The hub with small texts as files."""
    hub.files = {name: f"content of {name}".encode() for name in (*NAMES, "vocab.txt")}
    return hub


def test_a_folder_is_fetched_once_and_holds_nothing_else(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", "roberta-base", "--json"]) == 0
    assert hub.asked == [(name, None) for name in NAMES]
    folder = Path("weights/roberta-base")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: hub.files[name] for name in NAMES}
    found = json.loads(capsys.readouterr().out)["roberta-base"]
    assert found == {name: hashlib.sha256(hub.files[name]).hexdigest() for name in NAMES}
    assert json.loads(Path("weights/roberta-base.checksums.json").read_text()) == found
    assert main(["fetch-weights", "roberta-base"]) == 0
    assert len(hub.asked) == 2
    assert "roberta-base: MIT; name RoBERTa" in capsys.readouterr().out


def test_a_file_that_is_another_than_before_is_told(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", "bert-base-uncased"]) == 0
    Path("weights/bert-base-uncased/vocab.txt").write_text("cut")
    assert main(["fetch-weights", "bert-base-uncased"]) == 2
    assert "vocab.txt: sha256 " in capsys.readouterr().err


@pytest.mark.parametrize("is_damaged", [False, True])
def test_what_is_there_of_a_file_is_not_fetched_again(hub: Any, is_damaged: bool) -> None:
    content, folder = hub.files["vocab.txt"], Path("weights/bert-base-uncased")
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_bytes(b"wrong" if is_damaged else content)
    assert main(["fetch-weights", "bert-base-uncased"]) == 0
    assert hub.asked == ([("vocab.txt", None)] if is_damaged else [])
    assert (folder / "vocab.txt").read_bytes() == content
    assert not (folder / PARTS).exists()


def test_a_file_that_is_damaged_on_the_way_is_fetched_anew(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    hub.spoils = True
    assert main(["fetch-weights", "bert-base-uncased"]) == 2
    assert "damaged on the way" in capsys.readouterr().err
    hub.spoils = False
    assert main(["fetch-weights", "bert-base-uncased"]) == 0
    assert hub.asked == [("vocab.txt", None)] * 2
    assert Path("weights/bert-base-uncased/vocab.txt").read_bytes() == hub.files["vocab.txt"]


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL elsewhere")
def test_a_fetch_that_was_killed_goes_on_where_it_was(hub: Any) -> None:
    hub.files["merges.txt"] = os.urandom(1 << 20)
    hub.stalls_after = 1 << 19
    words = [sys.executable, "-m", "rvos_fusion.commands.cli", "fetch-weights", "roberta-base"]
    environment = {**os.environ, "HF_ENDPOINT": hub.address}
    started = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE
    while len(hub.asked) < len(NAMES):
        assert started.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    started.kill()
    started.wait()
    folder = Path("weights/roberta-base")
    assert (folder / "vocab.json").exists()
    assert not (folder / "merges.txt").exists()
    hub.stalls_after = None
    subprocess.run(words, env=environment, check=True, capture_output=True)
    assert hub.asked == [("vocab.json", None), ("merges.txt", None), ("merges.txt", None)]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: hub.files[name] for name in NAMES}


def test_offline_mode_asks_nobody(hub: Any) -> None:
    words = [sys.executable, "-m", "rvos_fusion.commands.cli", "fetch-weights", "bert-base-uncased"]
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "vocab.txt: offline mode (HF_HUB_OFFLINE), and it is not in weights/bert-base-uncased; copy it there" in line
    assert hub.asked == []


def test_what_cannot_be_had_is_one_line(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    del hub.files["vocab.json"]
    assert main(["fetch-weights", "roberta-base"]) == 2
    told = capsys.readouterr().err
    assert "vocab.json: no such file there any more" in told
    hub.server.shutdown()
    hub.server.server_close()
    assert main(["fetch-weights", "bert-base-uncased"]) == 2
    told = capsys.readouterr().err
    assert "no connection" in told
    assert told.count("\n") == 1
    assert not Path("weights/bert-base-uncased.checksums.json").exists()


@pytest.mark.parametrize("status", [401, 403])
def test_files_that_want_an_account_say_how_to_get_access(
    hub: Any, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    hub.refuses = status
    assert main(["fetch-weights", "sam3"]) == 2
    told = capsys.readouterr().err
    assert f"accept it at {hub.address}/facebook/sam3, then run `hf auth login` or set HF_TOKEN" in told
    assert told.count("\n") == 1
    assert not Path("weights/sam3").exists()


def test_a_recipe_s_folders_are_fetched_to_where_it_reads_them(hub: Any, tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        hub.files[name] = f"content of {name}".encode()
    (tmp_path / "recipes").mkdir()
    recipe = tmp_path / "recipes/zero_shot.yaml"
    recipe.write_text((PROJECT / "recipes/zero_shot.yaml").read_text())
    assert main(["fetch-weights", str(recipe)]) == 0
    found = {str(path.relative_to(tmp_path)) for path in (tmp_path / "weights").rglob("*.safetensors")}
    assert found == {f"weights/{name}/model.safetensors" for name in ("grounding-dino-tiny", "sam2.1-hiera-tiny")}


def test_a_recipe_without_folders_of_the_hub_is_told(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", str(PROJECT / "pipeline.yaml")]) == 2
    assert "pipeline.yaml: reads no folder called as on the hub" in capsys.readouterr().err
    assert hub.asked == []


def test_what_lies_behind_a_drive_says_what_to_click(hub: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", "roberta-base", "uninext"]) == 2
    assert "uninext: OneDrive: open the UNINEXT repository, click `video_joint`" in capsys.readouterr().err
    assert main(["fetch-weights", "roberta"]) == 2
    assert "no weights 'roberta'; did you mean 'roberta-base'?" in capsys.readouterr().err
    assert hub.asked == []
    assert main(["fetch-weights"]) == 0
    listed = capsys.readouterr().out
    assert "https://huggingface.co/facebook/sam2.1-hiera-large" in listed
    assert "Google Drive: open the aot-benchmark repository" in listed
