"""What a result stands on: licences by file, statements beside files, and the same in the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_data import write_split

from rvos_fusion.commands.cli import main
from rvos_fusion.weights.known_weights import DRIVES, FAMILIES, HUB

DOCUMENT = Path(__file__).parents[3] / "docs" / "weights.md"
NETWORKS = (
    "models={soc: {runner: soc, checkpoint: w/soc.pth, tokenizer: w/roberta}, a: {import: png, path: members/a}}",
    "engines={e: {network: r50-aotl, checkpoint: w/aot.pth}}",
    "stages={one: {p: {propagate: soc, engine: e}, f: {fuse: [p, a], threshold: 1}}}",
    "submission=f",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=1)
    return tmp_path


def list_sources(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[str, list[str]]]:
    sets = [word for value in NETWORKS for word in ("--set", value)]
    assert main(["licences", "pipeline.yaml", "--json", *sets, *words]) == 0
    sources = json.loads(capsys.readouterr().out)["sources"]
    return {Path(source["path"]).name: (source["licence"], source["nodes"]) for source in sources}


def test_official_files_have_their_repositorys_licence_and_the_rest_is_unknown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list_sources(capsys) == {
        "soc.pth": ("none stated: do not redistribute", ["soc"]),
        "roberta": ("MIT", ["soc"]),
        "aot.pth": ("BSD-3-Clause", ["p"]),
        "a": ("unknown", ["a"]),
        "data": ("unknown", []),
    }
    assert "aot.pth" not in list_sources(capsys, "--node", "soc")


def test_a_statement_beside_a_file_wins(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "w").mkdir()
    (folder / "w/licences.yaml").write_text('soc.pth: {licence: ours}\n"*": {licence: theirs, attribution: them}\n')
    (folder / "members/licences.yaml").write_text("b: {licence: another}\n")
    found = list_sources(capsys)
    assert [found[name][0] for name in ("soc.pth", "aot.pth", "a")] == ["ours", "theirs", "unknown"]
    (folder / "w/licences.yaml").write_text("soc.pth: {license: ours}\n")
    assert main(["licences", "pipeline.yaml", *[w for value in NETWORKS for w in ("--set", value)]]) == 2
    assert "licences.yaml:1: licences.soc.pth: unknown key 'license'" in capsys.readouterr().err


def test_a_network_of_ones_own_is_no_official_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = json.dumps({"__metadata__": {"rvos_network": "soc", "config": "{}"}}).encode()
    (folder / "w").mkdir()
    (folder / "w/soc.pth").write_bytes(len(header).to_bytes(8, "little") + header)
    assert list_sources(capsys)["soc.pth"][0] == "unknown"
    assert main(["licences", "pipeline.yaml"]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if f"{folder}/members/a " in line)
    assert line.split() == [
        "masks",
        f"{folder}/members/a",
        *f"unknown; state it in {folder}/members/licences.yaml".split(),
        "a",
    ]
    assert out.endswith("4 sources, 4 of unknown licence\n")


def test_the_bundled_demo_is_known_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["licences", str(DOCUMENT.parents[1] / "pipeline.yaml")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("sources, 0 of unknown licence")


def test_the_manifest_names_licences_imports_groups_data_and_commit(folder: Path) -> None:
    def submit() -> dict[str, object]:
        assert main(["run", "pipeline.yaml", "--quiet"]) == 0
        assert main(["submit", "pipeline.yaml"]) == 0
        content: dict[str, object] = json.loads((folder / "runs/submission.provenance.json").read_text())
        return content

    first = submit()
    assert first["groups"] == {"by": "object_id", "sha256": None}
    assert [Path(source["path"]).name for source in first["licences"]] == ["a", "b", "c", "data"]  # type: ignore[attr-defined]
    assert sorted(Path(path).name for path in first["imports"]) == ["a", "b", "c"]  # type: ignore[attr-defined]
    assert first["commit"] is None or len(str(first["commit"]).removesuffix("-dirty")) == 40
    assert submit() == first
    mask = folder / "members/a/video0/0/00000.png"
    mask.write_bytes(mask.read_bytes() + b"\0")
    assert submit()["imports"] != first["imports"]
    expressions = folder / "data/meta_expressions/valid/meta_expressions.json"
    expressions.write_text(expressions.read_text().replace("the left thing", "a left thing"))
    assert submit()["data"] != first["data"]


def test_the_table_of_weights_is_that_of_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert {folder.family for folder in HUB.values()} | set(DRIVES) == set(FAMILIES)
    for name in DRIVES:
        licence = FAMILIES[name].licence
        assert any(licence in line and line.startswith("|") for line in text.splitlines())
    assert all(folder.address == f"https://huggingface.co/{folder.repository}" for folder in HUB.values())
