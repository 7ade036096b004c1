"""The table of the judges: a new one is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from runners.judges.base import Judge, JudgeSettings
from rvos.settings import Chosen


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """Where a judge lies.

    Args:
        settings: class of its settings, free of torch.
        module: has `build(settings, place=..., device=...)` and `check(settings)`; imported when the judge is wanted.
    """

    settings: str
    module: str


_SETTINGS = "runners.judges.settings"
JUDGES: Mapping[str, JudgeRow] = {
    "command": JudgeRow(f"{_SETTINGS}:CommandJudgeSettings", "runners.judges.command"),
    "transformers": JudgeRow(f"{_SETTINGS}:HubJudgeSettings", "runners.judges.hub_model"),
    "recorded": JudgeRow(f"{_SETTINGS}:RecordedJudgeSettings", "runners.judges.recorded"),
}
CHOSEN_JUDGE = Chosen("judge", {name: row.settings for name, row in JUDGES.items()})


def check_judge(settings: JudgeSettings) -> None:
    """Check that a judge can be built; no weights are read, nothing is started. Raises as `build_judge` does."""
    import_module(JUDGES[settings.judge].module).check(settings)


def build_judge(settings: JudgeSettings, *, place: Path, device: str) -> Judge:
    """Return the judge that a recipe describes, loaded.

    Args:
        place: of the workspace, for what programs get and say.
        device: as the command line has it.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: a program that cannot be started.
        InputError: no folder of verdicts.
    """
    build: Callable[..., Judge] = import_module(JUDGES[settings.judge].module).build
    return build(settings, place=place, device=device)
