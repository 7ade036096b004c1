"""One safe way to read a checkpoint and to load it whole: no code is executed, every key is accounted for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from deaot_toolkit.file_values import WithoutInitialValues, is_finite, take_values
from deaot_toolkit.wrapped import ENVELOPES, find_state, unwrap_names
from torch import Tensor, nn

from runners.checkpoints.content import is_tensor, read_content, to_tensors
from rvos.errors import CheckpointError, InputError, explain
from rvos.files.json_files import parse_json
from rvos.files.pickles import Record
from rvos.settings import count, load, name_type

_SHOWN_KEYS = 8
NETWORK_ENTRY, CONFIG_ENTRY = "rvos_network", "config"
_LONGEST_KEY = 300
_LONGEST_LIST = 32
# A file that lacks some tensors is told which; only one that could not hold the network at all is not built for.
_MOST_CLAIMED = 16
_SLACK = 10_000_000
Network = TypeVar("Network", bound=nn.Module)
Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """The state dict of a file and what came with it.

    Args:
        state: parameter name -> tensor, on the CPU.
        envelope: entry that held the state dict; empty for a bare one.
        hyper_parameters: the training arguments in the file, if any.
        metadata: text entries of a safetensors header.
    """

    path: Path
    state: dict[str, Tensor]
    envelope: str = ""
    hyper_parameters: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_outline(self) -> bool:
        """Whether its tensors have no values."""
        return any(value.is_meta for value in self.state.values())


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of every key: names as in the file; `renamed` maps file name -> network name."""

    matched: tuple[str, ...]
    renamed: Mapping[str, str]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, unexpected or of another shape."""
        return not (self.missing or self.unexpected or self.mismatched)


def read_checkpoint(path: Path, *, outline: bool = False) -> CheckpointFile:
    """Return the state dict in a `.pth`, `.pt`, `.tar`, `.pkl` (torch, or pickled arrays) or `.safetensors` file.

    Args:
        outline: tensors without their values, on the device `meta`: enough to tell whether the file fits.

    Raises:
        CheckpointError: missing, damaged, holding no state dict, or wanting to execute code.
    """
    content = read_content(path, outline=outline)
    state, envelope = _find_state(path, content.root)
    names = unwrap_names(state)
    tensors = to_tensors(path, {target: state[name] for name, target in names.items()}, outline=outline)
    arguments = content.root.get("args") if isinstance(content.root, Mapping) else None
    entries = arguments.entries if isinstance(arguments, Record) else {}
    return CheckpointFile(
        path,
        tensors,
        envelope,
        {name: _to_plain(value) for name, value in entries.items() if name.isprintable()},
        content.metadata,
    )


def _find_state(path: Path, content: object) -> tuple[Mapping[str, Any], str]:
    """Return the state dict and the name of the entry that holds it."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds {_name_type(content)}, not a state dict; give a checkpoint")
    state, envelope = find_state(content)
    for name, value in state.items():
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _LONGEST_KEY:
            raise CheckpointError(f"{path}: no state dict, {name!a:.60} is no parameter's name; give a checkpoint")
        if not is_tensor(value):
            where = f"under {envelope}" if envelope else f"under {', '.join(ENVELOPES)}"
            raise CheckpointError(
                f"{path}: no state dict {where}, {name:.60} is {_name_type(value)}, not a tensor; give a checkpoint"
            )
    if not state:
        raise CheckpointError(f"{path}: its state dict is empty; give a checkpoint")
    return state, envelope


def _name_type(value: object) -> str:
    if is_tensor(value):
        return "a tensor"
    return "an object" if isinstance(value, Record) else name_type(value)


def _to_plain(value: object) -> Any:
    """Return a value that is short when printed: a list may hold itself or the same list a million times."""
    if isinstance(value, list | tuple):
        kept = [item if _is_plain(item) else f"({_name_type(item)})" for item in value[:_LONGEST_LIST]]
        return [*kept, "..."] if len(value) > _LONGEST_LIST else kept
    return value if _is_plain(value) else f"({_name_type(value)})"


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_KEY and value.isprintable()
    return value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63)


def match_keys(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    renames: Sequence[tuple[str, str]] = (),
    ignored: Sequence[str] = (),
) -> tuple[dict[str, Tensor], LoadReport]:
    """Return the state under the network's names, and what became of every key.

    Args:
        renames: (regular expression, replacement) pairs applied to file names with `re.sub`, in order.
        ignored: regular expressions, searched in the file name, of keys that this network never reads.
    """
    expected = module.state_dict()
    taken: dict[str, Tensor] = {}
    matched, renamed, skipped, unexpected, mismatched = [], {}, [], [], []
    for name, value in state.items():
        target = name
        for pattern, replacement in renames:
            target = re.sub(pattern, replacement, target)
        if target in expected:
            # Floats of any precision are converted.
            fits = value.shape == expected[target].shape
            if not fits or value.is_floating_point() != expected[target].is_floating_point():
                mismatched.append(f"{name} {_describe(value)}, expected {_describe(expected[target])}")
                continue
            taken[target] = value
            if target == name:
                matched.append(name)
            else:
                renamed[name] = target
        elif any(re.search(pattern, name) for pattern in ignored):
            skipped.append(name)
        else:
            unexpected.append(name)
    missing = [name for name in expected if name not in taken]
    report = LoadReport(tuple(matched), renamed, tuple(skipped), tuple(missing), tuple(unexpected), tuple(mismatched))
    return taken, report


def _describe(value: Tensor) -> str:
    kind = "" if value.is_floating_point() else f" {value.dtype}".replace("torch.", "")
    return f"{tuple(value.shape)}{kind}"


def build_network(build: Callable[[], Network], file: CheckpointFile) -> Network:
    """Return the network that `build` makes for `file`.

    It is built without memory first: sizes that a file only claims cost nothing before its tensors are as large. For
    an outline it stays so; else its parameters have no values before `load_strict` gives it those of the file.

    Raises:
        CheckpointError: the sizes that the file states make no network, or a far larger one than it holds.
    """
    held = sum(value.numel() for value in file.state.values())
    outline = sketch(build, file)
    stated = sum(value.numel() for value in outline.state_dict().values())
    if stated > _SLACK + _MOST_CLAIMED * held:
        raise CheckpointError(
            f"{file.path}: states a network of {stated} values, but holds {held}; get the whole file again"
        )
    if file.is_outline:
        return outline
    with WithoutInitialValues():
        return build()


def sketch(build: Callable[[], Network], file: CheckpointFile) -> Network:
    """Return the network without memory; CheckpointError where the sizes that the file states make no network."""
    try:
        with torch.device("meta"):
            return build()
    # What layers of torch and transformers raise for sizes that do not go together.
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = explain(error)
        raise CheckpointError(
            f"{file.path}: the sizes that it states make no network ({reason}); copy it again"
        ) from None


def load_strict(
    module: nn.Module,
    file: CheckpointFile,
    *,
    renames: Sequence[tuple[str, str]] = (),
    ignored: Sequence[str] = (),
) -> LoadReport:
    """Load every key of `file` into `module`, or nothing; of an outline there is nothing to load.

    Raises:
        CheckpointError: keys missing, unexpected or of another shape, or values that are not finite.
    """
    taken, report = match_keys(module, file.state, renames=renames, ignored=ignored)
    problems = []
    for what, names in (
        ("missing", report.missing),
        ("unexpected", report.unexpected),
        ("of another shape", report.mismatched),
    ):
        if names:
            more = f" and {len(names) - _SHOWN_KEYS} more" if len(names) > _SHOWN_KEYS else ""
            problems.append(f"{len(names)} {what}: {', '.join(names[:_SHOWN_KEYS])}{more}")
    if problems:
        raise CheckpointError(
            f"{file.path}: does not fit {type(module).__name__}, nothing was loaded; {'; '.join(problems)}; "
            "`rvos checkpoint` tells what the file is"
        )
    if file.is_outline:
        return report
    broken = [name for name, value in taken.items() if not is_finite(value)]
    if broken:
        raise CheckpointError(f"{file.path}: NaN or infinity in {', '.join(broken[:_SHOWN_KEYS])}; get the file again")
    take_values(module, taken)
    return report


def read_stated_config(file: CheckpointFile, runner: str, config: type[Config]) -> Config | None:
    """Return the configuration `config` in a file of `saving.save_network` for `runner`; None for any other file.

    Raises:
        CheckpointError: the configuration is damaged, of another network, or claims more layers than there are tensors.
        ConfigError: it does not fit `config`.
    """
    stated = read_network_config(file)
    if stated is None:
        return None
    name, values = stated
    if name != runner:
        raise CheckpointError(f"{file.path}: holds a {name:.40} network; set runner: {name:.40}, or give another file")
    found = load(config, values, where=str(file.path))
    layers = _count_layers(found)
    if layers > len(file.state):
        raise CheckpointError(
            f"{file.path}: states {count(layers, 'layer')}, but holds "
            f"{count(len(file.state), 'tensor')}; get the whole file again"
        )
    return found


def _count_layers(config: object) -> int:
    """Return how many layers a configuration states, those of its parts included."""
    if not dataclasses.is_dataclass(config):
        return 0
    total = 0
    for part in dataclasses.fields(config):
        value = getattr(config, part.name)
        if part.name.endswith(("layers", "depth", "depths", "blocks")):
            total += sum(value) if isinstance(value, tuple) else value
        total += _count_layers(value)
    return total


def read_network_config(file: CheckpointFile) -> tuple[str, dict[str, Any]] | None:
    """Return runner and configuration (CheckpointError: damaged) in a file of `saving.save_network`; else None."""
    if NETWORK_ENTRY not in file.metadata:
        return None
    try:
        config = parse_json(file.metadata.get(CONFIG_ENTRY, "").encode(), where=str(file.path))
    except InputError as error:
        raise CheckpointError(
            f"{file.path}: its network configuration is damaged ({explain(error)}); copy it again"
        ) from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{file.path}: its network configuration is no mapping; copy it again")
    return file.metadata[NETWORK_ENTRY], config
