"""The training loop: exact resume, averaging, accumulation, best weights, wall budget, several processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_task import ToyTask

from runners.checkpoints.loading import read_checkpoint
from rvos.errors import CheckpointError, ConfigError
from rvos_fusion.training.config import GroupRule, LoopSettings, OptimiserSettings, ScheduleSettings, TrainingConfig
from rvos_fusion.training.logs.records import read_curve
from rvos_fusion.training.running.distributed import Ranks
from rvos_fusion.training.running.loop import BEST, LAST, Trainer, TrainingError

ALONE = Ranks(0, 1, torch.device("cpu"))
CONFIG = TrainingConfig(
    name="toy",
    task="toy",
    optimiser=OptimiserSettings(rate=0.01, clip=1.0),
    loop=LoopSettings(steps=12, batch=2, save_every=5, validate_every=4, log_every=1, average=0.5, seed=3),
    schedule=ScheduleSettings("polynomial", minimum=0.001, warm_up=0.25),
    validation={},
)


def trainer(folder: Path, config: TrainingConfig = CONFIG, *, seed: int = 0) -> Trainer:
    torch.manual_seed(seed)
    return Trainer(ToyTask(), config, folder, ranks=ALONE, quiet=True)


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in made.task.network.state_dict().items()}


def test_resumed_training_repeats_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    summary = whole.run()
    first = trainer(tmp_path / "parts")
    first.run(until=7)
    # Another initial seed: everything must come from the saved state.
    second = trainer(tmp_path / "parts", seed=99)
    assert second.resume()
    assert second.run().complete
    assert summary.steps == 12
    assert first.task.totals + second.task.totals == whole.task.totals
    assert first.task.seen + second.task.seen == whole.task.seen
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(second)[name])
        assert torch.equal(whole.average.state[name], second.average.state[name])


def test_state_saved_before_a_crash_is_enough(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run()
    broken = trainer(tmp_path / "broken")
    losses = broken.task.losses
    broken.task.losses = lambda batch, progress: 1 / 0 if len(broken.task.totals) == 8 else losses(batch, progress)
    with pytest.raises(ZeroDivisionError):
        broken.run()
    again = trainer(tmp_path / "broken", seed=1)
    again.resume()
    assert again.position.step == 5
    again.run()
    assert again.task.totals == whole.task.totals[5:]
    validated = [row for row in read_curve(tmp_path / "broken/curve.csv") if row[1] == "train/total"]
    assert [step for step, _, _ in validated] == list(range(1, 13))


def test_every_epoch_sees_every_sample_once() -> None:
    made = trainer(Path("unused"))
    loop = replace(CONFIG.loop, steps=None, epochs=2, batch=1)
    made = Trainer(ToyTask(), replace(CONFIG, loop=loop), Path("unused"), ranks=ALONE, quiet=True)
    assert made.n_steps == 14
    stream = [made.task.batch([index], [0]).indices for index in range(7)]
    assert len(set(stream)) == 7


def test_accumulated_small_batches_equal_a_large_one(tmp_path: Path) -> None:
    large = replace(CONFIG, loop=replace(CONFIG.loop, batch=4, steps=3))
    small = replace(CONFIG, loop=replace(CONFIG.loop, batch=2, accumulate=2, steps=3))
    results = []
    for config in (large, small):
        torch.manual_seed(0)
        made = Trainer(ToyTask(dropout=0.0), config, tmp_path / str(config.loop.batch), ranks=ALONE, quiet=True)
        made.run()
        results.append((made.task.seen, weights(made)))
    assert [i for batch in results[0][0] for i in batch] == [i for batch in results[1][0] for i in batch]
    for name, value in results[0][1].items():
        torch.testing.assert_close(value, results[1][1][name], rtol=1e-5, atol=1e-6)


def test_best_weights_are_the_averaged_ones(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    summary = made.run()
    scores = [value for _, name, value in read_curve(tmp_path / "curve.csv") if name == "validation/nearness"]
    assert len(scores) == 3
    assert summary.best == pytest.approx(max(scores), rel=1e-4)
    best = read_checkpoint(tmp_path / BEST).state
    if scores[-1] == max(scores):
        assert all(torch.equal(best[name], value) for name, value in made.average.state.items())
    assert any(not torch.equal(value, made.average.state[name]) for name, value in weights(made).items())


def test_wall_budget_ends_the_training_and_drives_the_schedule(tmp_path: Path) -> None:
    made = trainer(tmp_path, replace(CONFIG, loop=replace(CONFIG.loop, steps=10_000, minutes=1.0)))
    made.position.seconds = 59.9999
    summary = made.run()
    assert summary.complete
    assert 1 <= summary.steps < 10_000
    assert made.task.progress[0] > 0.999
    assert (tmp_path / LAST).is_file()


def test_state_of_another_training_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path).run(until=1)
    with pytest.raises(CheckpointError, match="holds toy, expected the state of other"):
        trainer(tmp_path, replace(CONFIG, name="other")).resume()


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    made.task.losses = lambda batch, progress: {"total": made.task.network(batch.inputs).sum() * float("nan")}
    with pytest.raises(TrainingError, match=r"step 0: the loss is nan; lower optimiser\.rate"):
        made.run()


def test_out_of_memory_gives_advice(tmp_path: Path) -> None:
    made = trainer(tmp_path)

    def losses(batch: object, progress: float) -> dict[str, torch.Tensor]:
        raise torch.OutOfMemoryError("no memory")

    made.task.losses = losses
    with pytest.raises(TrainingError, match=r"lower loop\.batch"):
        made.run()


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    rules = (GroupRule("^0", frozen=True), GroupRule("bias", weight_decay=0.0, scale=0.5))
    made = trainer(tmp_path, replace(CONFIG, optimiser=replace(CONFIG.optimiser, rules=rules)))
    before = weights(made)
    made.run(until=2)
    changed = {name for name, value in weights(made).items() if not torch.equal(value, before[name])}
    assert changed == {"3.weight", "3.bias"}


def test_a_rule_without_parameters_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no parameter matches 'encoder'"):
        trainer(tmp_path, replace(CONFIG, optimiser=replace(CONFIG.optimiser, rules=(GroupRule("encoder"),))))


def test_wall_budget_and_several_processes_exclude_each_other(tmp_path: Path) -> None:
    config = replace(CONFIG, loop=replace(CONFIG.loop, minutes=1.0))
    with pytest.raises(ConfigError, match=r"leave loop\.minutes out"):
        Trainer(ToyTask(), config, tmp_path, ranks=Ranks(0, 2, torch.device("cpu")))


TWO_PROCESSES = """
import os
import sys
from pathlib import Path
import torch
# The project before its tests, whose folders have the names of our packages.
sys.path[:0] = [str(Path(sys.argv[1]).parent), sys.argv[1]]
from toy_task import ToyTask
from dataclasses import replace
from rvos_fusion.training.config import LoopSettings, OptimiserSettings, TrainingConfig
from rvos_fusion.training.running.distributed import join_ranks
from rvos_fusion.training.running.loop import Trainer, TrainingError
torch.set_num_threads(1)
torch.manual_seed(0)
task = ToyTask(dropout=0.0)
if sys.argv[3:] == ["fails"]:
    task.losses = lambda batch, progress: {"total": task.network(batch.inputs).sum() * float("nan")}
loop = LoopSettings(steps=3, batch=2, seed=3)
config = TrainingConfig("toy", "toy", OptimiserSettings(rate=0.01), loop, validation={})
ended = "trained"
try:
    with join_ranks("cpu") as ranks:
        trainer = Trainer(task, config, Path(sys.argv[2]), ranks=ranks, quiet=True)
        trainer.run()
except TrainingError:
    ended = "failed"
threads = [Path("/proc/self/task", name, "comm").read_text().strip() for name in os.listdir("/proc/self/task")]
# In one piece: torchrun takes away the buffer, and two processes write at once.
sys.stdout.write(f"{ended} {[name for name in threads if 'gloo' in name]}\\n")
"""


def train_in_two_processes(folder: Path, *arguments: str) -> list[str]:
    """Return what each of the processes says of its end and of the threads of its process group."""
    script = folder / "two.py"
    script.write_text(TWO_PROCESSES, encoding="utf-8")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    tests = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, *command, tests, str(folder / "two"), *arguments],
        check=True,
        timeout=600,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.splitlines()


def test_two_processes_train_as_one_with_their_batches_together(tmp_path: Path) -> None:
    # A thread that runs on while the interpreter ends aborts the process now and then.
    assert train_in_two_processes(tmp_path) == ["trained []"] * 2
    torch.manual_seed(0)
    loop = LoopSettings(steps=3, batch=4, seed=3)
    config = TrainingConfig("toy", "toy", OptimiserSettings(rate=0.01), loop, validation={})
    alone = Trainer(ToyTask(dropout=0.0), config, tmp_path / "one", ranks=ALONE, quiet=True)
    alone.run()
    shared = read_checkpoint(tmp_path / "two" / LAST).state
    for name, value in weights(alone).items():
        torch.testing.assert_close(shared[f"network.{name}"], value, rtol=1e-5, atol=1e-6)


def test_no_thread_of_the_process_group_outlives_a_training_that_fails(tmp_path: Path) -> None:
    assert train_in_two_processes(tmp_path, "fails") == ["failed []"] * 2


def test_each_epoch_is_validated(tmp_path: Path) -> None:
    loop = replace(CONFIG.loop, steps=None, epochs=3, batch=2, validate_every=0, each_epoch=True, save_every=0)
    made = Trainer(ToyTask(), replace(CONFIG, loop=loop), tmp_path, ranks=ALONE, quiet=True)
    made.run()
    # Seven samples in batches of two: an epoch has three steps, and the training 21 samples in ten.
    steps = [step for step, name, _ in read_curve(tmp_path / "curve.csv") if name == "validation/nearness"]
    assert steps == [3, 6, 9, 10]
