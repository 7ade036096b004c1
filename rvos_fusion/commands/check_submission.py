"""`rvos check-submission ZIP`: everything that is wrong with an archive."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rvos.errors import InputError
from rvos.files.json_files import expect_list, expect_object, read_json
from rvos.formats import Dataset, open_dataset
from rvos.formats.submissions import check_submission
from rvos.settings import count
from rvos_fusion.commands.shared_options import add_dataset_options, open_chosen_dataset
from rvos_fusion.tables import print_json
from rvos_fusion.weights.provenance import FILLED, MANUAL, name_manifest, read_dataset_entry

_SHOWN = 20


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Without data set options, the data set is the one that the archive's manifest names.\n\n"
        "examples:\n  rvos check-submission runs/demo/submission.zip\n"
        "  rvos check-submission theirs.zip --root data/refer_youtube_vos --split valid"
    )
    parser.add_argument("archive", type=Path, metavar="ZIP")
    add_dataset_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object with all problems")


def run(options: argparse.Namespace) -> int:
    """Check the archive; 1 if anything is wrong with it."""
    if not options.archive.exists():
        raise InputError(f"{options.archive}: no such file; check the path")
    dataset = _open_dataset(options)
    audit = check_submission(options.archive, dataset)
    problems, filled, manual = audit.faults, *_read_manifest(options.archive)
    if options.json:
        content = {"archive": str(options.archive), "valid": not problems, "problems": problems}
        print_json({**content, "filled": filled, "empty": audit.empty, "manual": manual})
        return int(bool(problems))
    for problem in problems[:_SHOWN]:
        print(problem)
    if len(problems) > _SHOWN:
        print(f"and {len(problems) - _SHOWN} more; --json lists all")
    counts = f"{count(len(dataset.videos), 'video')}, {count(dataset.n_expressions, 'expression')}"
    verdict = f"valid and complete: {counts}"
    if filled:
        print(f"filled with black masks: {_list(filled)}")
        verdict = f"valid, but without results for {len(filled)} of {count(dataset.n_expressions, 'expression')}"
    if audit.empty:  # with or without a manifest: nobody should read "complete" where black masks stand for results
        n_empty = f"{len(audit.empty)} of {count(dataset.n_expressions, 'expression')}"
        verdict = f"{verdict if filled else 'valid'}; {n_empty} are empty in every frame: {_list(audit.empty)}"
    if manual:
        print(f"{MANUAL}: {_list(manual)}; not for a challenge that forbids manual work")
        verdict += f"; {len(manual)} of {count(dataset.n_expressions, 'expression')} {MANUAL}"
    print(f"{options.archive}: {count(len(problems), 'problem') if problems else verdict}")
    return int(bool(problems))


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _read_manifest(archive: Path) -> tuple[list[str], list[str]]:
    """Return the sentences with black masks in place of a result, and those corrected by hand; none without one."""
    manifest = name_manifest(archive)
    if not manifest.is_file():
        return [], []
    content = expect_object(read_json(manifest), where=str(manifest))
    filled = expect_list(content.get(FILLED, []), where=f"{manifest}: {FILLED}")
    manual = expect_object(content.get(MANUAL, {}), where=f"{manifest}: {MANUAL}").values()
    corrected = (name for own in manual for name in expect_list(own, where=f"{manifest}: {MANUAL}"))
    return [str(name) for name in filled], list(dict.fromkeys(str(name) for name in corrected))


def _open_dataset(options: argparse.Namespace) -> Dataset:
    named = None if options.recipe is not None or options.root is not None else read_dataset_entry(options.archive)
    if named is None:
        return open_chosen_dataset(options)
    format, root, split = named
    return open_dataset(format, root, split)
