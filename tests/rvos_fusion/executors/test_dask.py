"""Runs on a real scheduler with real worker processes, which are killed, refused, and lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_cluster import Cluster, find_port, wait_for
from small_data import write_split
from stored_results import list_results

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.executors import cluster_checks
from rvos_fusion.executors.cluster_checks import Expected, check_worker, describe_project, expect

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"), find_port())
    started.start_scheduler()
    for resources in ((), ("--resources", "GPU=1"), ("--resources", "CPU=1")):
        started.start_worker("--preload", "deadly_worker", *resources)
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time: what is waited for comes."""
    monkeypatch.setattr("rvos_fusion.executors.dask._ANSWER", 120.0)
    monkeypatch.setattr("rvos_fusion.executors.dask._PATIENCE", 240.0)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    write_split(tmp_path)
    (tmp_path / "runs").mkdir()
    return tmp_path


def run(split: Path, *words: str) -> int:
    return main(["run", str(split / "pipeline.yaml"), "--quiet", *words])


def stored(workspace: Path) -> dict[str, bytes]:
    return {str(path.relative_to(workspace)): path.read_bytes() for path in list_results(workspace)}


def archive(split: Path, workspace: Path) -> bytes:
    assert main(["submit", str(split / "pipeline.yaml"), "--workspace", str(workspace)]) == 0
    return (workspace / "submission.zip").read_bytes()


def test_killed_workers_cost_no_result_and_a_deadly_video_only_itself(
    cluster: Cluster, split: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (split / "runs/once").touch()
    (split / "runs/always").touch()
    assert run(split, "--cluster", cluster.address) == 1
    assert capsys.readouterr().err.splitlines() == [
        "failed: a: video1: its workers were killed 3 times, probably for memory: give each worker more",
        "blocked: 2 results that need these",
    ]
    assert not (split / "runs/once").exists()
    assert Store(split / "runs").videos("final") == ("video0", "video2")
    (split / "runs/always").unlink()
    finished = {path: path.stat().st_ino for path in list_results(split / "runs")}
    assert run(split, "--cluster", cluster.address) == 0
    assert finished.items() <= {path: path.stat().st_ino for path in list_results(split / "runs")}.items()
    assert run(split, "--workspace", str(split / "alone")) == 0
    assert stored(split / "runs") == stored(split / "alone")
    assert archive(split, split / "runs") == archive(split, split / "alone")


def test_workers_with_another_version_are_told_before_anything_runs(
    cluster: Cluster, split: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_checks, "describe_project", lambda: "another")
    assert run(split, "--cluster", cluster.address) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("has another version of rvos-fusion; install the same one everywhere")
    assert stored(split / "runs") == {}
    assert list(split.glob("runs/.*.part")) == []


def test_a_run_outlives_its_scheduler(split: Path) -> None:
    cluster = Cluster(split, find_port())
    (split / "runs/hold").touch()
    statuses: list[int] = []
    try:
        cluster.start_scheduler()
        cluster.start_worker("--preload", "deadly_worker")
        client = threading.Thread(target=lambda: statuses.append(run(split, "--cluster", cluster.address)))
        client.start()
        wait_for(lambda: len(stored(split / "runs")) == 14)
        cluster.stop()
        (split / "runs/hold").unlink()
        cluster.start_scheduler()
        cluster.start_worker("--preload", "deadly_worker")
        client.join()
    finally:
        cluster.stop()
    assert statuses == [0]
    assert run(split, "--workspace", str(split / "alone")) == 0
    assert stored(split / "runs") == stored(split / "alone")


def test_without_workers_the_run_says_so(
    split: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody is to come, so there is nothing to wait for.
    monkeypatch.setattr("rvos_fusion.executors.dask._ANSWER", 1.0)
    cluster = Cluster(split, find_port())
    assert run(split, "--cluster", cluster.address) == 2
    assert f"--cluster {cluster.address}: no scheduler answers" in capsys.readouterr().err
    cluster.start_scheduler()
    try:
        monkeypatch.setattr("rvos_fusion.executors.dask._ANSWER", 3.0)
        assert run(split, "--cluster", cluster.address) == 2
    finally:
        cluster.stop()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"rvos run: --cluster {cluster.address}: no worker answers; start some with dask worker {cluster.address}"
    )


def test_a_worker_sees_the_same_folders(tmp_path: Path) -> None:
    with expect((tmp_path,)) as expected:
        assert check_worker(expected) == ""
        elsewhere = tmp_path / "elsewhere"
        assert "does not see" in check_worker(Expected(expected.project, (tmp_path, elsewhere), expected.token))
        elsewhere.mkdir()
        assert "sees another folder" in check_worker(Expected(expected.project, (elsewhere,), expected.token))
    assert list(tmp_path.iterdir()) == [elsewhere]


def test_any_change_of_the_sources_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "changing"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cluster_checks, "_PACKAGES", ("changing",))
    digests = set()
    for text in ("a = 1\n", "a = 2\n", "a = 2\r\n"):
        (package / "part.py").write_bytes(text.encode())
        digests.add(describe_project.__wrapped__())
    assert len(digests) == 2


def test_every_package_of_the_project_counts_as_its_sources() -> None:
    packages = {path.parent.name for path in Path(__file__).parents[3].glob("*/__init__.py")} - {"benchmarks"}
    assert packages | {"deaot_toolkit"} == set(cluster_checks._PACKAGES)
