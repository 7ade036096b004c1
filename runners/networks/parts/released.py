"""Loading official ReferFormer and MUTR files into the networks."""

from __future__ import annotations

from torch import Tensor

from runners.checkpoints.loading import CheckpointFile, LoadReport, load_strict
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import IGNORED_TEXT_KEYS
from rvos.errors import CheckpointError

# Constants that the networks compute themselves, and leftovers of a profiler.
IGNORED_KEYS = (
    *IGNORED_TEXT_KEYS,
    r"relative_position_index$",
    r"num_batches_tracked$",
    r"total_params$",
    r"total_ops$",
)


def load_released(network: ReferFormer, file: CheckpointFile) -> LoadReport:
    """Load every key of a file into the network, or nothing.

    Raises:
        CheckpointError: the file does not fit the network, or has other window indices than the released backbones.
    """
    # Indices are computed here, not loaded: another one in the file tells that its windows have another size.
    for name, value in file.state.items():
        if name.endswith("relative_position_index") and not _is_ours(network, name, value):
            raise CheckpointError(f"{file.path}: {name} is not that of a 7x7 window; give a released backbone")
    return load_strict(network, file, ignored=IGNORED_KEYS)


def _is_ours(network: ReferFormer, name: str, value: Tensor) -> bool:
    """Return whether a stored index is the computed one; entries of other backbones are refused by their names."""
    try:
        ours = network.get_buffer(name)
    except AttributeError:
        return True
    # Of an outline only the shape is known.
    return ours.shape == value.shape and (value.is_meta or bool((ours.cpu() == value).all()))
