"""Models that are not of this project: what a recipe says of them, and what they must give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from runners.base import OptionValue
from rvos.errors import ConfigError, InputError
from rvos.masks.mask_sequences import KeepSoft, MaskSequence
from rvos.plugins import PluginNames
from rvos.settings import NoEffect, OneOf, Positive, count, name_type
from rvos.videos import Expression, Video

GROUP = "rvos.runners"
"""Of entry points: an installed package names its `build` there."""
COMMAND = "command"
"""The runner that is a program."""
MaskForm = Literal["png", "rle", "npz", "png16"]


@dataclass(frozen=True, slots=True)
class OwnModel:
    """One entry of `models:` with a runner of the user's.

    Args:
        runner: `module:function`, or the name of an entry point in the group `rvos.runners`.
        checkpoint: file or folder; None: the model needs none.
        files: what else it reads; their contents count for the fingerprint.
        keep_soft: keep the soft maps that it gives, as `uint8` (true) or `float16`.
        options: the runner's own settings, handed on as they are.
    """

    runner: Annotated[str, PluginNames(GROUP)]
    checkpoint: Path | None = None
    files: tuple[Path, ...] = ()
    keep_soft: KeepSoft = True
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    is_own: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class CommandModel:
    """One entry of `models:` with `runner: command`: a program of another environment.

    Args:
        command: its words; those with a slash, and names of files beside the recipe, are relative to the recipe.
        masks: the form that it writes.
        timeout: seconds that a video may take; None: any time.
        checkpoint, files, keep_soft, options: as in `OwnModel`.
    """

    runner: Annotated[str, OneOf((COMMAND,))]
    command: tuple[str, ...]
    masks: Annotated[MaskForm, NoEffect()] = "png"
    timeout: Annotated[Positive | None, NoEffect()] = None
    checkpoint: Path | None = None
    files: tuple[Path, ...] = ()
    keep_soft: KeepSoft = True
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    is_own: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.command:
            raise ConfigError("command is empty; give the program and its arguments, such as [python, my_program.py]")


def check_sequences(
    found: Iterable[object], video: Video, expressions: Sequence[Expression], *, keep_soft: KeepSoft
) -> list[MaskSequence]:
    """Return what a model gave, in the order of the expressions.

    Args:
        keep_soft: keep soft maps.

    Raises:
        InputError: no mask sequences, an unknown, missing or repeated expression, or masks that do not fit the frames.
    """
    advice = "mend the model"
    by_expression: dict[str, MaskSequence] = {}
    for one in found:
        if not isinstance(one, MaskSequence):
            raise InputError(f"{video.id}: the model gave {name_type(one)}, expected MaskSequence; {advice}")
        if one.expression in by_expression:
            raise InputError(f"{video.id}/{one.expression}: the model gave it twice; {advice}")
        one.check_fits(video, video.read_size(), advice=advice)
        soft = None if one.soft is None else one.soft.kept_as(keep_soft)
        by_expression[one.expression] = replace(one, soft=soft)
    known = [expression.id for expression in expressions]
    unknown = [name for name in by_expression if name not in known]
    missing = [name for name in known if name not in by_expression]
    if unknown:
        raise InputError(f"{video.id}/{unknown[0]}: the model gave it, and nobody asked; {advice}")
    if missing:
        raise InputError(
            f"{video.id}: no masks for {len(missing)} of {count(len(known), 'expression')}, first "
            f"{missing[0]!r}; {advice}"
        )
    return [by_expression[name] for name in known]
