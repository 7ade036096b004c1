"""Official files by name: what is fetched, what is kept, and what a person must click. No network is used."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from pipeline.cli import main

NAMES = ("vocab.json", "merges.txt")


class Hub:
    """Stands for the library: writes files, and what it keeps to go on with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.error: Exception | None = None

    def hf_hub_download(self, repository: str, file: str, *, local_dir: Path) -> str:
        self.asked.append((repository, file))
        if self.error is not None:
            raise self.error
        (local_dir / ".cache").mkdir(parents=True, exist_ok=True)
        (local_dir / file).write_text(f"content of {file}")
        return str(local_dir / file)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    monkeypatch.chdir(tmp_path)
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.hf_hub_download)
    return hub


def test_a_folder_is_fetched_once_and_holds_nothing_else(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", "roberta-base", "--json"]) == 0
    assert hub.asked == [("FacebookAI/roberta-base", name) for name in NAMES]
    assert sorted(path.name for path in Path("weights/roberta-base").iterdir()) == sorted(NAMES)
    found = json.loads(capsys.readouterr().out)["roberta-base"]
    assert json.loads(Path("weights/roberta-base.checksums.json").read_text()) == found
    assert main(["fetch-weights", "roberta-base"]) == 0
    assert len(hub.asked) == 2
    assert "roberta-base: MIT; name RoBERTa" in capsys.readouterr().out


def test_a_file_that_is_another_than_before_is_told(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", "bert-base-uncased"]) == 0
    Path("weights/bert-base-uncased/vocab.txt").write_text("cut")
    assert main(["fetch-weights", "bert-base-uncased"]) == 2
    assert "vocab.txt: sha256 " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LocalEntryNotFoundError("x"), "no connection, and it is not in weights/roberta-base"),
        (EntryNotFoundError("x"), "vocab.json: no such file there any more"),
        (OSError(28, "No space left on device"), "cannot be fetched (No space left on device); run it again to go on"),
    ],
    ids=["offline", "gone", "full"],
)
def test_what_cannot_be_had_is_one_line(
    hub: Hub, capsys: pytest.CaptureFixture[str], error: Exception, message: str
) -> None:
    hub.error = error
    assert main(["fetch-weights", "roberta-base"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not Path("weights/roberta-base.checksums.json").exists()


def test_what_lies_behind_a_drive_says_what_to_click(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch-weights", "roberta-base", "uninext"]) == 2
    assert "uninext: OneDrive: open the UNINEXT repository, click `video_joint`" in capsys.readouterr().err
    assert main(["fetch-weights", "roberta"]) == 2
    assert "no weights 'roberta'; did you mean 'roberta-base'?" in capsys.readouterr().err
    assert hub.asked == []
    assert main(["fetch-weights"]) == 0
    listed = capsys.readouterr().out
    assert "https://huggingface.co/facebook/sam2.1-hiera-large" in listed
    assert "Google Drive: open the aot-benchmark repository" in listed
