"""The table of the families of engines: a new one is one folder and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from propagate.engines.own import GROUP
from propagate.engines.settings import EngineSettings
from rvos.errors import CheckpointError
from rvos.plugins import list_entry_points
from rvos.settings import ChoiceError, Chosen, load_row, show

if TYPE_CHECKING:
    import torch

    from propagate.engines.protocol import Engine


@dataclass(frozen=True, slots=True)
class Family:
    """Where the engine of a family of networks lies.

    Args:
        names: what those of its networks look like, in lower case.
        settings: class of its settings, free of torch.
        module: has `load_engine(settings, device=...)`; imported only when an engine is wanted.
        mark: what names of entries begin with in its checkpoints alone.
        needs_place: it also takes `place`, a folder for its files.
    """

    names: str
    settings: str
    module: str
    mark: str = ""
    needs_place: bool = False


_OWN = Family("*:*", "propagate.engines.own:OwnSettings", "propagate.engines.own")
ENGINES: Mapping[str, Family] = {
    "own": _OWN,
    "sam2": Family("sam2*", "propagate.engines.sam2.settings:Sam2Settings", "propagate.engines.sam2.engine"),
    "sam3": Family("*sam3*", "propagate.engines.sam3.settings:Sam3Settings", "propagate.engines.sam3.engine"),
    "cfbi": Family(
        "*cfbi*", "propagate.engines.cfbi.settings:CfbiSettings", "propagate.engines.cfbi.engine", "dynamic_seghead."
    ),
    "command": Family(
        "command",
        "propagate.engines.command.settings:CommandSettings",
        "propagate.engines.command.engine",
        needs_place=True,
    ),
    "aot": Family(
        "*aot*", "propagate.engines.aot.settings:AotSettings", "propagate.engines.aot.engine", "patch_wise_id_bank."
    ),
}
"""The families; the first whose names fit a network is taken."""


def find_family(network: str) -> Family:
    """Return the family of a network. Raises ChoiceError: it looks like none."""
    for family in ENGINES.values():
        if fnmatchcase(network.lower(), family.names):
            return family
    # Asked last, as all installed packages are looked through.
    if network in list_entry_points(GROUP):
        return _OWN
    raise ChoiceError(
        "network",
        f"{show(network)} is unknown; name one such as r50-aotl or sam2.1-hiera-large, or your own as module:function",
    )


@dataclass(frozen=True, slots=True)
class ChosenEngine(Chosen):
    """Marks the settings of an engine, whose class follows from the name of its network."""

    key: str = "network"

    def find(self, name: str) -> type:
        """See `Chosen`."""
        return load_row(find_family(name).settings)

    def classes(self) -> list[type]:
        """See `Chosen`."""
        return [load_row(family.settings) for family in ENGINES.values()]


def check_engine(settings: EngineSettings) -> None:
    """Check that an engine can be built; no weights are read. Raises as `build_engine` does."""
    import torch

    build_engine(settings, device=torch.device("meta"))


def build_engine(settings: EngineSettings, *, device: torch.device, place: Path | None = None) -> Engine:
    """Return the engine that a recipe describes, with its checkpoint loaded.

    Args:
        device: on `meta` no weights are read: what is wrong with settings and files shows as it would on any other.
        place: folder for what an engine that is a program gets and says; None: a temporary one.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: no network of that name.
    """
    family = find_family(settings.network)
    own = {"place": place} if family.needs_place else {}
    try:
        return import_module(family.module).load_engine(settings, device=device, **own)
    except CheckpointError:
        made_for = _find_owner(settings.checkpoint)
        if made_for is None or ENGINES[made_for] is family:
            raise
        raise CheckpointError(
            f"{settings.checkpoint}: made for the engine {made_for}, nothing was loaded; name the network of it that "
            f"the file is of, or give a file of {settings.network}"
        ) from None


def _find_owner(checkpoint: Path | None) -> str | None:
    """Return the family whose entries a file holds; None: it is unreadable, or nobody's. No value is read."""
    from deaot_toolkit import ToolkitError
    from deaot_toolkit.checkpoints import read_state

    if checkpoint is None:
        return None
    try:
        state, _ = read_state(checkpoint, outline=True)
    except ToolkitError:
        return None
    marks = ((name, family.mark) for name, family in ENGINES.items() if family.mark)
    return next((name for name, mark in marks if any(key.startswith(mark) for key in state)), None)
