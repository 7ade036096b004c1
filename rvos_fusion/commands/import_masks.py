"""`rvos import SOURCE`: checks masks of other systems against a data set, and stores them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from rvos.errors import ConfigError, InputError
from rvos.formats import Dataset
from rvos.ids import list_paths
from rvos.imports import FORMATS, find_misfits, open_source
from rvos.imports.release import FoundMember, find_members, is_release
from rvos.masks.stored.store import Store
from rvos.settings import count
from rvos_fusion.clips.youtube_vis import RUN_LENGTHS
from rvos_fusion.commands.shared_options import add_dataset_options, open_chosen_dataset
from rvos_fusion.planning.notes import read_notes
from rvos_fusion.tables import print_json

Kind = Literal["png", "dump", "rle", "npz", "png16", "release"]
IMPORTED = "imported"
_KINDS: Mapping[str, Kind] = {".pth": "dump", ".pt": "dump", ".json": "rle"}
_SHOWN = 10
_EPILOG = """\
SOURCE is a folder or archive of <video>/<exp>/<frame>.png, a .pth dump of the 2023 release or a folder of its parts,
JSON run lengths, or the whole folder of the release. Masks are stored for `rvos export`; a recipe reads the source
itself, by the entry that is printed at the end.

examples:
  rvos import masks/theirs --recipe pipeline.yaml --workspace runs/theirs --node theirs
  rvos import release/model_pth/vit_huge.pth --values probabilities --root data/refer_youtube_vos --split test"""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of one member."""

    name: str
    format: str
    path: str
    videos: int
    problems: tuple[str, ...]


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("--kind", choices=(*FORMATS, "release"), help="default: what SOURCE looks like")
    parser.add_argument("--values", choices=("logits", "probabilities"), help="what a dump holds; default: logits")
    parser.add_argument("--soft", action="store_true", help="keep soft maps of dumps, npz and png16, in 8 bits")
    parser.add_argument("--workspace", type=Path, help="store the masks here; without it they are only checked")
    parser.add_argument("--node", help="name of the member; default: the name of SOURCE")
    add_dataset_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Check and store all members of the source; 2 if anything does not fit. What fits is kept."""
    dataset = open_chosen_dataset(options)
    members = list_members(options)
    if options.workspace is not None:
        _check_names([member.name for member in members], options.workspace)
    reports = [import_member(member, dataset, options.workspace, soft=options.soft) for member in members]
    if options.json:
        print_json({"members": [asdict(report) for report in reports]})
    else:
        for report in reports:
            counts = (
                f"{report.videos} of {count(len(dataset.videos), 'video')} fit, "
                f"{count(len(report.problems), 'problem')}"
            )
            print(f"{report.name}: {counts}")
            for problem in report.problems[:_SHOWN]:
                print(f"  {problem}", file=sys.stderr)
            if len(report.problems) > _SHOWN:
                print(f"  and {len(report.problems) - _SHOWN} more; --json lists all", file=sys.stderr)
        print("models of a recipe:")
        for member in members:
            values = f", values: {member.values}" if member.format == "dump" else ""
            print(f"  {member.name}: {{import: {member.format}, path: {member.path}{values}}}")
    return 2 if any(report.problems for report in reports) else 0


def _check_names(names: Sequence[str], workspace: Path) -> None:
    """Refuse, by a ConfigError, the name of a node of which a recipe has results there: `export` would mix them up."""
    for note in read_notes(workspace):
        for name in sorted({node for node, _ in note.index.read()} & set(names)):
            raise ConfigError(
                f"{workspace}: holds results of the node {name!r} of {Path(note.recipe).name}; give another --node or "
                "--workspace"
            )


def list_members(options: argparse.Namespace) -> tuple[FoundMember, ...]:
    """Return the members that the source holds; at least one, or an InputError says that there is nothing to import."""
    source: Path = options.source
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; check the path")
    name = options.node or source.name.partition(".")[0]
    if (exported := source / RUN_LENGTHS).is_file():  # the folder of `rvos export --as rle`
        source = exported
    kind: Kind = options.kind or _guess_kind(source)
    if kind != "release":
        return (FoundMember(name, kind, source, options.values or "logits"),)
    if options.node or options.values:
        raise ConfigError(f"{source}: --node and --values go with one member; the release's are named by its folders")
    members = find_members(source) if source.is_dir() else ()
    if not members:
        raise InputError(f"{source}: no member in the layout of the 2023 release; check the folder")
    return members


def _guess_kind(source: Path) -> Kind:
    if source.is_file():
        return _KINDS.get(source.suffix, "png")
    for suffix in (".pth", ".json"):
        if any(path.name != "key_frame.json" for path in source.glob(f"*{suffix}")):
            return _KINDS[suffix]
    if any(source.glob("*/*.npz")):
        return "npz"
    return "release" if is_release(source) else "png"


def import_member(member: FoundMember, dataset: Dataset, workspace: Path | None, *, soft: bool) -> ImportReport:
    """Read all masks of a member, store them if there is a workspace, and return what does not fit.

    Raises a StoreError where the workspace cannot be written.
    """
    try:
        paths = list_paths(video.id for video in dataset.videos)
        source = open_source(member.format, member.path, values=member.values, soft=soft, paths=paths)
        problems = find_misfits(source, dataset.videos)
    except InputError as error:
        return ImportReport(member.name, member.format, str(member.path), 0, (str(error),))
    count = 0
    present = set(source.list_videos())
    videos = [video for video in dataset.videos if video.id in present]
    for video in tqdm(videos, desc=member.name, unit="video", disable=None, leave=False, file=sys.stderr):
        try:
            sequences = source.read(video)
        except InputError as error:
            problems.append(str(error))
            continue
        if workspace is not None:
            Store(workspace).write(member.name, video.id, sequences, IMPORTED)
        count += 1
    return ImportReport(member.name, member.format, str(member.path), count, tuple(problems))
