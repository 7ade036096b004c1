"""The notebook runs from its first cell to its last on the bundled demo."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from rvos_fusion.commands.cli import main

PROJECT = Path(__file__).resolve().parents[2]


def test_the_notebook_shows_scores_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    assert main(["demo", "--out", str(tmp_path), "--only-copy"]) == 0
    notebook = nbformat.read(PROJECT / "docs" / "demo.ipynb", as_version=4)
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert [line.split()[0] for line in printed.splitlines()][:5] == ["soc", "soc_aot", "stage1", "stage2", "final"]
