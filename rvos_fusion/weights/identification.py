"""Which network a checkpoint is: one function a family, tried in turn, each importing its network only if asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from runners.checkpoints.loading import (
    CheckpointFile,
    LoadReport,
    match_keys,
    read_network_config,
    read_stated_config,
    sketch,
)
from rvos.errors import CheckpointError

_PROFILER = (r"total_params$", r"total_ops$")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file is and what becomes of its keys.

    Args:
        network: name of the runner or engine that loads it.
        backbone: its name, or its sizes where it has none.
        layout: which of several official key layouts, or "own" for files of this project.
        details: sizes that were read off the shapes or the stored configuration.
    """

    network: str
    backbone: str
    layout: str
    details: Mapping[str, object]
    report: LoadReport


def identify(file: CheckpointFile) -> Identity | None:
    """Return what `file` is, or None where no family knows it.

    Raises:
        CheckpointError, ConfigError: one of our own files, damaged, or with a configuration unknown to this program.
    """
    for family in FAMILIES.values():
        found = family(file)
        if found is not None:
            return found
    return None


def identify_referformer(file: CheckpointFile) -> Identity | None:
    """ReferFormer: a fusion module and no temporal modules."""
    if not _is_referring(file, "referformer", "fusion_module.", without="mti."):
        return None
    from runners.networks.referformer.baseline import build_referformer
    from runners.networks.referformer.config import ReferFormerConfig

    return _referring(file, "referformer", ReferFormerConfig, build_referformer)


def identify_mutr(file: CheckpointFile) -> Identity | None:
    """MUTR: ReferFormer's modules with `MTA` and `mti`."""
    if not _is_referring(file, "mutr", "mti.") or not (read_network_config(file) or _has(file, "MTA.")):
        return None
    from runners.networks.referformer.mutr import Mutr, MutrConfig

    return _referring(file, "mutr", MutrConfig, Mutr)


def _is_referring(file: CheckpointFile, name: str, prefix: str, *, without: str | None = None) -> bool:
    stated = read_network_config(file)
    if stated is not None:
        return stated[0] == name
    return _has(file, prefix) and _has(file, "pixel_decoder.") and not (without and _has(file, without))


def _referring(file: CheckpointFile, name: str, config_type: Any, network_type: Any) -> Identity:
    from runners.networks.parts.recognition import infer_backbone, name_backbone
    from runners.networks.referformer.checkpoints import IGNORED_KEYS

    stated = read_stated_config(file, name, config_type)
    if stated is not None:
        config: Any = stated
        backbone = config.backbone
    else:
        sizes = infer_backbone(file.state)
        named = None if sizes is None else name_backbone(sizes)
        backbone = named or (str(sizes) if sizes is not None else "unknown")
        config = config_type(backbone=named or "resnet50", backbone_sizes=None if named else sizes)
    report = _account(lambda: network_type(config), file, ignored=IGNORED_KEYS)
    details = {"hidden_dim": config.hidden_dim, "queries": config.queries, "classes": config.classes}
    if config.concatenated:
        details = {"hidden_dim": config.hidden_dim, "concatenated": "no queries, the baseline"}
    return Identity(name, backbone, "own" if stated else "official", details, report)


def identify_soc(file: CheckpointFile) -> Identity | None:
    """SOC: `voc.` in the released layout, `vita.` in the challenge's."""
    stated = read_network_config(file)
    # Our own files say what they are: some clusterings have no parameters, and leave no `voc.*`.
    is_soc = stated[0] == "soc" if stated is not None else _has(file, "voc.") or _has(file, "vita.")
    if not is_soc:
        return None
    from runners.networks.parts.recognition import name_backbone
    from runners.networks.soc.checkpoints import IGNORED, RENAMES, read_config
    from runners.networks.soc.network import SOC

    config = read_config(file)
    report = _account(lambda: SOC(config), file, renames=RENAMES, ignored=IGNORED)
    layout = "own" if stated else "challenge (vita.*)" if _has(file, "vita.") else "released (voc.*)"
    sizes = replace(config.backbone)
    details = {"channels": config.channels, "queries": config.queries, "classes": config.classes}
    return Identity("soc", name_backbone(sizes) or str(sizes), layout, details, report)


def identify_uninext(file: CheckpointFile) -> Identity | None:
    """UNINEXT: everything lies under `detr.`."""
    stated = read_network_config(file)
    if (stated is not None and stated[0] != "uninext") or not _has(file, "detr.detr."):
        return None
    from runners.networks.uninext.checkpoints import backbone_renames, recognise_backbone, unread_keys, untie
    from runners.networks.uninext.config import RELEASED, UninextConfig
    from runners.networks.uninext.network import Uninext

    name = recognise_backbone(file.state)
    if stated is not None:
        config = read_stated_config(file, "uninext", UninextConfig) or UninextConfig()
    elif name in RELEASED:
        config = UninextConfig(backbone=RELEASED[name])
    else:
        return None
    untied, copies = untie(file)
    report = _account(
        lambda: Uninext(config), untied, renames=backbone_renames(config), ignored=(*unread_keys(config), *_PROFILER)
    )
    report = replace(report, ignored=report.ignored + copies)
    own = stated is not None
    return Identity("uninext", str(config.backbone) if own else str(name), "own" if own else "official", {}, report)


def identify_vos(file: CheckpointFile) -> Identity | None:
    """AOT and DeAOT: the released network whose names and shapes fit best."""
    if not _has(file, "LSTT."):
        return None
    from deaot_toolkit import CONFIGS, NetworkConfig, VosNetwork, find_config
    from deaot_toolkit.checkpoints import CONFIG_ENTRY
    from deaot_toolkit.errors import ToolkitError

    stored = file.metadata.get(CONFIG_ENTRY)
    try:
        configs = [NetworkConfig.from_json(stored)] if stored else [find_config(name) for name in CONFIGS]
    except ToolkitError as error:
        raise CheckpointError(f"{file.path}: {error}") from None
    tolerated = (r"relative_position_index$", r"num_batches_tracked$", *_PROFILER)
    accounts = []
    for candidate in configs:
        found = _account(partial(VosNetwork, candidate), file, ignored=tolerated)
        # Official files may lack a token that no network reads, and computed indices.
        optional = ("LSTT.mask_token", "relative_position_index")
        missing = tuple(name for name in found.missing if not name.endswith(optional))
        accounts.append((candidate, replace(found, missing=missing)))
    config, report = min(accounts, key=lambda pair: _n_problems(pair[1]))
    details: dict[str, object] = {
        "family": config.family,
        "layers": config.layers,
        "long_term_gap": config.long_term_gap,
        "max_objects": config.max_objects,
    }
    # Networks that differ only in their memory schedule have the same shapes.
    alike = [other.name for other, account in accounts if _n_problems(account) == _n_problems(report)]
    if len(alike) > 1:
        details["same shapes as"] = ", ".join(name for name in alike if name != config.name)
    encoder = f"{config.encoder.kind} of width {config.encoder.width}"
    return Identity(config.name, encoder, "own" if stored else "official", details, report)


def identify_sam2(file: CheckpointFile) -> Identity | None:
    """SAM 2 and 2.1: official names, or those of the hub."""
    from propagate.engines.sam2.checkpoints import OFFICIAL_KEY, convert_official, recognise, rename_official

    is_official = OFFICIAL_KEY in file.state
    state = convert_official(file.state) if is_official else file.state
    network = recognise(state)
    if network is None:
        return None
    from propagate.engines.sam2.network import Sam2Network
    from propagate.engines.sam2.sizes import find_config

    report = match_keys(sketch(lambda: Sam2Network(find_config(network)).model, file), state)[1]
    if is_official:
        # Point embeddings become one table and one matrix is stored twice: told by the names that the file has.
        named = {name: rename_official(name) for name in file.state if name not in report.unexpected}
        renamed = {name: target for name, target in named.items() if name != target}
        report = replace(report, matched=tuple(name for name in named if name not in renamed), renamed=renamed)
    version, _, size = network.partition("-")
    return Identity(network, size, "official" if is_official else "hub", {"version": version}, report)


def identify_sam3(file: CheckpointFile) -> Identity | None:
    """SAM 3: official names, or those of the hub; stacked projections count as renamed to three."""
    from sam3_toolkit.checkpoints import list_expected, recognise
    from sam3_toolkit.configs import find_config
    from sam3_toolkit.key_names import COMPUTED, HUB_KEY, OFFICIAL_KEY, UNUSED, convert_official, rename_official

    is_official = OFFICIAL_KEY in file.state
    state = convert_official(file.state) if is_official else file.state
    network = recognise(state)
    if network is None:
        return None
    expected = list_expected(state, find_config(network))
    ignored = tuple(name for name in file.state if is_official and (name.endswith(COMPUTED) or name in UNUSED))
    named = {name: rename_official(name) for name in file.state if name not in ignored}
    fitting = {name: targets for name, targets in named.items() if all(target in expected for target in targets)}
    lacking = [name for name in UNUSED if is_official and name not in file.state]
    report = LoadReport(
        matched=tuple(name for name, targets in fitting.items() if targets == (name,)),
        renamed={name: ", ".join(targets) for name, targets in fitting.items() if targets != (name,)},
        ignored=ignored,
        missing=(*(name for name in expected if name not in state), *lacking),
        unexpected=tuple(name for name in named if name not in fitting),
        mismatched=tuple(
            f"{name} {tuple(state[name].shape)}, expected {tuple(value.shape)}"
            for name, value in expected.items()
            if name in state and state[name].shape != value.shape
        ),
    )
    width = state[HUB_KEY].shape[0]
    return Identity(network, f"transformer of width {width}", "official" if is_official else "hub", {}, report)


def identify_cfbi(file: CheckpointFile) -> Identity | None:
    """CFBI and CFBI+: entries that repeat others count as renamed to what they repeat."""
    from propagate.engines.cfbi.checkpoints import OFFICIAL_KEY, is_duplicate, rename, repeated
    from propagate.engines.cfbi.configs import CONFIGS
    from propagate.engines.cfbi.network import Cfbi

    if OFFICIAL_KEY not in file.state:
        return None
    accounts = []
    for name, config in CONFIGS.items():
        kept = {key: value for key, value in file.state.items() if not is_duplicate(key)}
        renamed = {key: rename(key, config) for key in kept}
        state = {renamed[key]: value for key, value in kept.items()}
        report = match_keys(sketch(lambda config=config: Cfbi(config), file), state)[1]  # type: ignore[misc]
        doubles = {key: repeated(key) for key in file.state if key not in kept}
        official = {target: key for key, target in renamed.items()}
        report = replace(
            report,
            matched=tuple(official[key] for key in report.matched if official[key] == key),
            renamed={official[key]: key for key in report.matched if official[key] != key} | doubles,
            unexpected=tuple(official[key] for key in report.unexpected),
        )
        accounts.append((name, config, report))
    name, config, report = min(accounts, key=lambda account: _n_problems(account[2]))
    details = {"alias": "cfbip"} if name == "cfbi+" else {}
    return Identity(name, config.backbone, "official", details, report)


def _n_problems(report: LoadReport) -> int:
    return len(report.missing) + len(report.unexpected) + len(report.mismatched)


def _has(file: CheckpointFile, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in file.state)


def _account(
    build: Callable[[], nn.Module],
    file: CheckpointFile,
    *,
    renames: Sequence[tuple[str, str]] = (),
    ignored: Sequence[str] = (),
) -> LoadReport:
    """Return what would become of every key; the network is built without memory for its weights."""
    return match_keys(sketch(build, file), file.state, renames=renames, ignored=ignored)[1]


def common_prefixes(file: CheckpointFile) -> dict[str, int]:
    """Return how many keys start with each first word of a name, most frequent first."""
    return dict(Counter(name.partition(".")[0] for name in file.state).most_common())


FAMILIES: Mapping[str, Callable[[CheckpointFile], Identity | None]] = {
    "mutr": identify_mutr,
    "referformer": identify_referformer,
    "soc": identify_soc,
    "uninext": identify_uninext,
    "aot and deaot": identify_vos,
    "sam2": identify_sam2,
    "sam3": identify_sam3,
    "cfbi": identify_cfbi,
}
