"""`rvos correct RECIPE NODE VIDEO SENTENCE`: one correction by hand, written into a file that a recipe may name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rvos.errors import ConfigError, InputError
from rvos.files.atomic import read_whole
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.masks.corrections import (
    Answer,
    Correction,
    FrameMask,
    find_misfits,
    read_corrections,
    write_corrections,
)
from rvos.masks.mask_images import decode_mask
from rvos.settings import count, nearest
from rvos.videos import Video
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe, repeat_options
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.base import capability
from rvos_fusion.kinds.networks.carriers import explain_carrier
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.tables import print_json

DEFAULT_FILE = "corrections.jsonl"


@runtime_checkable
class Corrector(Protocol):
    """A node that applies corrections."""

    @property
    def source(self) -> str:
        """The node that it corrects."""

    @property
    def file(self) -> Path | None:
        """Its file of corrections."""

    @property
    def corrections(self) -> Sequence[Correction]:
        """Those of the source."""


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A node of the recipe applies the file, and nothing else does:\n"
        "  by_hand: {correct: final, corrections: corrections.jsonl}\n\n"
        "examples:\n  rvos correct pipeline.yaml final VIDEO 0 --engine aot --frame 00050 --mask lost.png\n"
        "  rvos correct pipeline.yaml final VIDEO 0 --engine sam2 --frame 00050 --box 120,80,260,200\n"
        "  rvos correct pipeline.yaml final VIDEO 1 --same-as 0\n"
        "  rvos correct pipeline.yaml final VIDEO 1 --same-as soc:1\n"
        "  rvos correct pipeline.yaml final VIDEO 2 --empty 00090-\n"
        "  rvos correct pipeline.yaml final VIDEO 0 --keep 00000-00035"
    )
    add_recipe_options(parser)
    parser.add_argument("node", metavar="NODE", help="whose answer is corrected, or the node that corrects it")
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument("sentence", metavar="SENTENCE", help="its id")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--mask", type=Path, metavar="FILE", help="picture of 0 and 255 at the frame size: the frame's mask"
    )
    what.add_argument(
        "--box", metavar="X0,Y0,X1,Y1", help="left, top, right, bottom in pixels; the engine makes a mask"
    )
    what.add_argument(
        "--same-as", metavar="OTHER",
        help="the corrected answer to another sentence of the video; NODE:SENTENCE: that node's answer",
    )  # fmt: skip
    what.add_argument("--empty", metavar="FROM-TO", help="no object in these frames; FROM- goes to the end")
    what.add_argument("--keep", metavar="FROM-TO", help="these frames are right: nothing is carried into them")
    parser.add_argument("--frame", metavar="NAME", help="frame of the mask or the box")
    parser.add_argument(
        "--engine", metavar="NAME", help="of the recipe: carries the frame both ways, to the next correction"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=f"default: the file that corrects NODE, else {DEFAULT_FILE} beside RECIPE",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Check the correction against recipe and data set, and put it into the file."""
    recipe = open_recipe(options)
    nodes = {node.name: capability(node, Corrector) for node in recipe.nodes}
    if options.node not in nodes:
        raise ConfigError(f"{recipe.path}: no node {options.node!r}; {nearest(options.node, nodes)}")
    named = nodes[options.node]
    target = options.node if named is None else named.source
    _check_masks(recipe, target)
    correcting = {name: one for name, one in nodes.items() if one is not None and one.source == target}
    path = options.out or next((one.file for one in correcting.values() if one.file), None)
    path = path or recipe.path.parent / DEFAULT_FILE
    video = _find_video(recipe, options.video)
    new = _read_correction(options, target, video)
    before = read_corrections(path) if path.exists() else ()
    after = {one.place: one for one in (*before, new)}
    _check(recipe, new, correcting, path)
    own = [one for one in after.values() if (one.node, one.video) == (target, video.id)]
    for problem in find_misfits(own, video, video.read_size()):
        raise InputError(f"{path}: {problem}")
    write_corrections(path, after.values())
    _tell(options, new, path, is_new=new.place not in {one.place for one in before})
    if any(one.file is not None and one.file.resolve() == path.resolve() for one in correcting.values()):
        if not options.json:
            print(f"next: rvos run {repeat_options(options)}")
        return 0
    seen = Path(os.path.relpath(path.absolute(), recipe.path.absolute().parent)).as_posix()
    print(
        f"note: no node of {recipe.path} applies {path}; add to a stage, and name where {target} is named: "
        f"{target}_by_hand: {{correct: {target}, corrections: {seen}}}",
        file=sys.stderr,
    )
    return 0


def _tell(options: argparse.Namespace, new: Correction, path: Path, *, is_new: bool) -> None:
    if options.json:
        print_json({"file": str(path), "node": new.node, "video": new.video, "sentence": new.sentence, "new": is_new})
        return
    print(f"{path}: {'' if is_new else 'replaced: '}{new.name_sentence()} of {new.node}: {new.describe()}")


def _check_masks(recipe: Recipe, name: str) -> None:
    node = recipe.node(name)
    if node.artefact is not MASKS:
        raise ConfigError(f"{recipe.path}: {name} stores {node.artefact.codec.name}; name a node with masks")


def _find_video(recipe: Recipe, name: str) -> Video:
    """Return a video of the data set; InputError with the nearest name where there is none."""
    dataset = recipe.dataset.open()
    known = {video.id: video for video in dataset.videos}
    if name not in known:
        raise InputError(f"{dataset.root}: no video {name!r} in split {dataset.split}; {nearest(name, known)}")
    return known[name]


def _check(recipe: Recipe, new: Correction, correcting: Mapping[str, Any], path: Path) -> None:
    """Check engine and other node of a correction against the recipe; ConfigError."""
    for problem in explain_carrier(new, recipe.engines):
        raise ConfigError(f"{recipe.path}: {problem}")
    other = None if new.same_as is None else new.same_as.node
    if other is None:
        return
    if other not in recipe.graph:
        raise ConfigError(f"{recipe.path}: no node {other!r}; {nearest(other, recipe.graph)}")
    _check_masks(recipe, other)
    for node in recipe.graph.below(other):
        if node.name in correcting:
            raise ConfigError(
                f"{path}: --same-as {other}:{new.same_as and new.same_as.sentence}: {other} stands on the corrected "
                f"answers of {node.name} itself; name another node"
            )


def _read_correction(options: argparse.Namespace, node: str, video: Video) -> Correction:
    """Return what the options say; InputError."""
    place = {"node": node, "video": video.id, "sentence": options.sentence}
    if options.mask is not None:
        content = read_whole(options.mask, most=LARGEST_IMAGE_FILE)
        try:
            mask = FrameMask.of(decode_mask(content, where=str(options.mask)))
        except InputError as error:
            text = str(error)
            raise InputError(text if text.startswith(str(options.mask)) else f"{options.mask}: {text}") from None
        return Correction(**place, frame=options.frame, mask=mask, engine=options.engine)
    if options.box is not None:
        return Correction(**place, frame=options.frame, box=_read_box(options.box), engine=options.engine)
    if options.same_as is not None:
        other, _, sentence = options.same_as.rpartition(":")
        answer = Answer(sentence, other or None)
        return Correction(**place, frame=options.frame, same_as=answer, engine=options.engine)
    form = "empty" if options.empty is not None else "keep"
    span = _read_span(getattr(options, form), video.frames, form)
    empty, keep = (span, None) if form == "empty" else (None, span)
    return Correction(**place, frame=options.frame, engine=options.engine, empty=empty, keep=keep)


def _read_box(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(word) for word in text.split(","))
    except ValueError:
        raise InputError(f"--box {text}: expected X0,Y0,X1,Y1 such as 120,80,260,200") from None
    return left, top, right, bottom


def _read_span(text: str, frames: Sequence[str], form: str) -> tuple[str, str]:
    """Return the first and the last frame of `FROM-TO`, `FROM-` or one name; names may hold a `-` themselves."""
    pairs = [(text[:place], text[place + 1 :]) for place, letter in enumerate(text) if letter == "-"]
    spans = [(first, last or frames[-1]) for first, last in [(text, text), *pairs]]
    fitting = [span for span in spans if span[0] in frames and span[1] in frames]
    if not fitting:
        odd = next((name for name in (spans[-1][0], spans[-1][1]) if name not in frames), text)
        raise InputError(
            f"--{form} {text}: no frame {odd!r} among {count(len(frames), 'frame')}; {nearest(odd, frames)}"
        )
    return fitting[0]
