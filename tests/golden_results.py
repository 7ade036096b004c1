"""Golden results: what every kind, engine, runner, detector and judge gives on a tiny case, and by which versions.

`pytest tests/rvos_fusion/kinds/test_golden_results.py --write-goldens` writes those whose versions were raised, and new
ones. A result that changed under an unchanged version stays as it was: that is what the tests are for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sam2_weights import make_network
from sam3_weights import make_detector, make_tracker, write_vocabulary, write_weights
from small_dino import write_grounding_dino
from small_judge import write_judge

from fusion.methods.table import METHODS
from propagate.engines.cfbi.configs import find_config
from propagate.engines.cfbi.network import Cfbi
from propagate.engines.settings import EngineSettings
from propagate.engines.table import ENGINES
from propagate.key_rules.table import KEY_RULES
from runners.base import ModelSettings
from runners.detectors.base import DetectorSettings
from runners.detectors.table import DETECTORS
from runners.judges.base import JudgeSettings
from runners.judges.table import JUDGES
from runners.registry import RUNNERS
from rvos.masks.corrections import Answer, Correction, FrameMask, write_corrections
from rvos.masks.detections import VideoProposals
from rvos.masks.mask_sequences import MaskSequence, decode, encode
from rvos.masks.stored.store import Store
from rvos.masks.tracklets import Instances, Tracklet, TrackletSet
from rvos.settings import load_row
from rvos_fusion.commands.cli import main as rvos
from rvos_fusion.kinds.base import Node
from rvos_fusion.kinds.plain import plain
from rvos_fusion.kinds.table import list_kinds
from rvos_fusion.planning.plan import Plan, make_plan
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

PROJECT = Path(__file__).parents[1]
GOLDENS = PROJECT / "tests" / "goldens"
_DEFAULTS = PROJECT / "tests" / "goldens" / "defaults" / "all.json"
VIDEO = "1b8b6b56bf"
N_FRAMES = 4
SENTENCES = ("0", "2", "6")
"""A triangle, something without a noun that says what, and a cross."""
MOST_PIXELS = 0.001
"""Part of a case's pixels that may differ where a network computes: another processor's sums differ in the last bit."""
MOST_SCORE = 1e-3
_SHIFTS = {"left": (0, -2), "right": (1, 2), "third": (-2, 0)}
"""Pixels down and to the right by which members miss the truth."""

_ODD = """\
import json, pathlib, sys
for line in sys.stdin:
    request = json.loads(pathlib.Path(line.strip()).read_text())
    words = {one["number"]: "accept" if one["number"] % 2 else "reject" for one in request["candidates"]}
    rows = [{"candidate": number, "verdict": word, "reason": ""} for number, word in words.items()]
    pathlib.Path(request["out"]).write_text(json.dumps({"verdicts": rows}))
    print(line, end="", flush=True)
"""
"""A judge that accepts every other candidate."""

Golden = Mapping[str, Any]


def write_case(folder: Path) -> Path:
    """Write one video of the demo with few frames, and all that the recipe names; return the recipe."""
    source = PROJECT / "demo/data"
    listed = json.loads((source / "meta_expressions/valid/meta_expressions.json").read_text())["videos"][VIDEO]
    frames = listed["frames"][:N_FRAMES]
    sentences = {name: listed["expressions"][name] for name in SENTENCES}
    place = folder / "data/meta_expressions/valid"
    place.mkdir(parents=True)
    content = {"videos": {VIDEO: {"frames": frames, "expressions": sentences}}}
    (place / "meta_expressions.json").write_text(json.dumps(content))
    for kind, ending in (("JPEGImages", "jpg"), ("Annotations", "png")):
        place = folder / "data/valid" / kind / VIDEO
        place.mkdir(parents=True)
        for frame in frames:
            (place / f"{frame}.{ending}").symlink_to(source / "valid" / kind / VIDEO / f"{frame}.{ending}")
    labels = [np.asarray(Image.open(folder / f"data/valid/Annotations/{VIDEO}/{frame}.png")) for frame in frames]
    objects = {name: int(sentence["obj_id"]) for name, sentence in sentences.items()}
    for member, shift in _SHIFTS.items():
        for name, value in objects.items():
            place = folder / "members" / member / VIDEO / name
            place.mkdir(parents=True)
            for frame, label in zip(frames, labels, strict=True):
                mask = np.roll(label == value, shift, (0, 1)).astype(np.uint8) * 255
                Image.fromarray(mask).save(place / f"{frame}.png")
    _write_detections(folder / "found.json", dict(zip(frames, labels, strict=True)))
    seen = FrameMask.of(labels[1] == objects["0"])
    corrections = [
        Correction("votes", VIDEO, "0", frame=frames[1], mask=seen, engine="aot"),
        Correction("votes", VIDEO, "2", same_as=Answer("6", "left")),
        Correction("votes", VIDEO, "6", empty=(frames[0], frames[1])),
    ]
    write_corrections(folder / "corrections.jsonl", corrections)
    torch.save(make_network().model.state_dict(), folder / "sam2.pt")
    write_weights(folder / "sam3.pt", make_tracker(), make_detector())
    write_vocabulary(folder / "clip")
    torch.manual_seed(0)
    torch.save({"state_dict": Cfbi(find_config("small-cfbi+")).state_dict()}, folder / "cfbi.pth")
    write_grounding_dino(folder / "dino")
    write_judge(folder / "vlm", "qwen3_vl")
    (folder / "odd.py").write_text(_ODD)
    (folder / "verdicts").mkdir()
    recipe = folder / "pipeline.yaml"
    text = (GOLDENS / "pipeline.yaml").read_text()
    recipe.write_text(text.replace("PROJECT", str(PROJECT)).replace("PYTHON", sys.executable))
    return recipe


def _write_detections(path: Path, labels: Mapping[str, NDArray[np.uint8]]) -> None:
    images, annotations = [], []
    for place, (frame, label) in enumerate(labels.items()):
        images.append({"id": place, "file_name": f"{VIDEO}/{frame}.jpg"})
        for value in np.unique(label[label > 0]).tolist():
            counts = encode((label == value)[None])[0].decode()
            shape = {"segmentation": {"size": list(label.shape), "counts": counts}}
            annotations.append({"image_id": place, "category_id": 1, "score": 0.9 - 0.1 * value, **shape})
    content = {"images": images, "categories": [{"id": 1, "name": "object"}], "annotations": annotations}
    path.write_text(json.dumps(content))


def compute(folder: Path) -> dict[str, Golden]:
    """Return what every node of the recipe of `write_case` makes of its one video."""
    recipe = write_case(folder)
    if rvos(["run", str(recipe), "--quiet", "--device", "cpu"]) != 0:
        raise RuntimeError("the golden recipe does not run")
    plan = open_plan(recipe)
    return {node.name: describe(plan, node) for node in plan.nodes}


def open_plan(path: Path) -> Plan:
    """Return the plan of the recipe of `write_case`."""
    recipe = read_recipe(path, [])
    return make_plan(recipe, build_graph(recipe), recipe.dataset.open().videos)


def describe(plan: Plan, node: Node) -> Golden:
    """Return the versions of what made a node's result, and the result: its checksum, or masks and numbers."""
    (task,) = plan.tasks[node.name]
    store, codec = Store(plan.recipe.workspace), node.artefact.codec
    value = store.read_artefact(node.name, VIDEO, task.fingerprint, codec=codec)
    versions = dict(task.versions)
    if node.stage == "exact" or node.keyword == "import":
        packed = codec.pack(VIDEO, value)
        digest = hashlib.sha256(json.dumps(packed.description, sort_keys=True).encode())
        for name, part in sorted(packed.parts.items()):
            digest.update(name.encode() + part)
        return {"versions": versions, "sha256": digest.hexdigest()}
    masks = {name: [run.decode() for run in runs] for name, runs, _ in _list_parts(value)}
    numbers = {name: [round(float(one), 5) for one in own] for name, _, own in _list_parts(value)}
    return {"versions": versions, "size": list(_find_size(value)), "masks": masks, "numbers": numbers}


def _find_size(value: Any) -> tuple[int, int]:
    first = value if hasattr(value, "size") else _list_single(value)[0]
    size: tuple[int, int] = first.size
    return size


def _list_parts(value: Any) -> Iterator[tuple[str, Sequence[bytes], Sequence[float]]]:
    """Yield name, masks and numbers of whatever a node stores."""
    if isinstance(value, VideoProposals):
        for place, one in enumerate(value.proposals):
            yield f"{place}: frame {one.frame}, {one.detector} {one.label}", [one.mask], [one.confidence]
        return
    for one in _list_single(value):
        if isinstance(one, Tracklet):
            yield one.id, one.runs, [one.confidence, one.key_frame, *one.propagation]
        else:
            assert isinstance(one, MaskSequence)
            soft = [] if one.soft is None else [float(one.soft.values.mean()), one.soft.low, one.soft.high]
            carried = [] if one.propagation is None else one.propagation
            yield one.expression, one.runs, [one.pick_key_frame(), *one.scores, *carried, *soft]


def _list_single(value: Any) -> Sequence[Any]:
    """Return the tracklets or mask sequences of what a node stores."""
    parts: Sequence[Any] = value.tracklets if isinstance(value, TrackletSet | Instances) else value
    return parts


def find_changes(golden: Golden, now: Golden) -> list[str]:
    """Return in words how a result differs from the golden one, whatever their versions; none where it does not."""
    if "sha256" in golden or "sha256" in now:
        return [] if golden.get("sha256") == now.get("sha256") else ["its bytes"]
    if golden["size"] != now["size"] or list(golden["masks"]) != list(now["masks"]):
        return [f"its parts, {list(golden['masks'])} before, {list(now['masks'])} now"]
    changes = []
    before, after = (_decode(one) for one in (golden, now))
    part = float((before != after).mean()) if before.shape == after.shape else 1.0
    if part > MOST_PIXELS:
        changes.append(f"{100 * part:.2f} % of its pixels")
    for name, old in golden["numbers"].items():
        new = now["numbers"][name]
        if len(old) != len(new) or not np.allclose(old, new, rtol=MOST_SCORE, atol=MOST_SCORE):
            changes.append(f"scores of {name}, {old} before, {new} now")
    return changes


def _decode(golden: Golden) -> NDArray[np.bool_]:
    size = tuple(golden["size"])
    masks = [decode([run.encode() for run in runs], size) for runs in golden["masks"].values()]
    return np.concatenate(masks) if masks else np.zeros((1, *size), np.bool_)


def read_golden(name: str) -> Golden:
    """Return the golden result of a node of the recipe."""
    golden: Golden = json.loads((GOLDENS / f"{name}.json").read_text())
    return golden


def list_defaults(settings: type, above: str = "") -> dict[str, object]:
    """Return the defaults of a dataclass and of those in its fields, by dotted name, as plain values."""
    found: dict[str, object] = {}
    hints = get_type_hints(settings, include_extras=True)
    for field in (one for one in dataclasses.fields(settings) if one.init):
        name = f"{above}{field.name}"
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if default is not MISSING:
            found[name] = plain(default)
        for part in _find_dataclasses(hints[field.name]):
            found |= list_defaults(part, f"{name}.")
    return found


def _find_dataclasses(hint: object) -> Iterator[type]:
    """Yield the settings in an annotation; what has a name of its own in a recipe has defaults of its own."""
    named = (EngineSettings, DetectorSettings, JudgeSettings, ModelSettings)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and not issubclass(hint, named):
        yield hint
    for part in get_args(hint):
        yield from _find_dataclasses(part)


def list_all_defaults() -> dict[str, Golden]:
    """Return version and defaults of every kind, engine, runner, detector and judge."""
    kinds = {**list_kinds("models"), **list_kinds("stages")}
    found: dict[str, tuple[int, dict[str, object]]] = {}
    found |= {f"kind {name}": (kind.version, list_defaults(kind)) for name, kind in kinds.items()}
    for keyword, rows in {"fuse": METHODS, "propagate": KEY_RULES}.items():
        chosen = {name: list_defaults(load_row(place)) for name, place in rows.items()}
        found |= {f"kind {keyword}, {name}": (kinds[keyword].version, own) for name, own in chosen.items()}
    engines = {name: load_row(row.settings) for name, row in ENGINES.items()}
    found |= {f"engine {name}": (engine.version, list_defaults(engine)) for name, engine in engines.items()}
    detectors = {name: load_row(row.settings) for name, row in DETECTORS.items()}
    found |= {f"detector {name}": (own.version, list_defaults(own)) for name, own in detectors.items()}
    judges = {name: load_row(row.settings) for name, row in JUDGES.items()}
    found |= {f"judge {name}": (own.version, list_defaults(own)) for name, own in judges.items()}
    for name, runner in RUNNERS.items():
        own = list_defaults(runner.options, "options.")
        found[f"runner {name}"] = runner.version, list_defaults(ModelSettings) | own
    return {name: {"version": version, "defaults": defaults} for name, (version, defaults) in found.items()}


def read_defaults() -> dict[str, Golden]:
    """Return what `list_all_defaults` gave when it was written last."""
    found: dict[str, Golden] = json.loads(_DEFAULTS.read_text()) if _DEFAULTS.exists() else {}
    return found


def write_defaults() -> None:
    """Write the defaults of raised versions, and new ones beside those that stay."""
    before = read_defaults()
    found = list_all_defaults()
    for name, now in found.items():
        if name in before and before[name]["version"] == now["version"]:
            now["defaults"] |= before[name]["defaults"]
    _DEFAULTS.write_text(json.dumps(found, indent=1) + "\n")


def write_raised(found: Mapping[str, Golden]) -> None:
    """Write the golden results whose versions were raised, and new ones; no others."""
    for name, now in found.items():
        path = GOLDENS / f"{name}.json"
        if not path.exists() or json.loads(path.read_text())["versions"] != now["versions"]:
            path.write_text(json.dumps(now, indent=1) + "\n")
