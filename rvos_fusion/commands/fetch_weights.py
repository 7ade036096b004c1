"""`rvos fetch-weights NAME`: official files of the hub into a folder; of drives, what to click."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from rvos.errors import ConfigError, InputError
from rvos.files.atomic import hash_file, write_atomically
from rvos.files.json_files import expect_object, read_json
from rvos.settings import nearest
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.tables import Column, Table, print_json, print_tables, read_form
from rvos_fusion.weights.default_recipe import find_recipe
from rvos_fusion.weights.downloads import PARTS, download
from rvos_fusion.weights.known_weights import DRIVES, FAMILIES, HUB, HubFolder

_RECIPES = (".yaml", ".yml")


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos fetch-weights                  # what there is, and where the rest lies\n"
        "  rvos fetch-weights sam2.1-hiera-tiny roberta-base --out weights\n"
        "  rvos fetch-weights recipes/zero_shot.yaml        # what it reads of the hub, to where it reads it"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="or a recipe (.yaml); default: list all")
    parser.add_argument("--out", type=Path, default=Path("weights"), help="folder of what is named; default: weights")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Fetch what is named, or list all."""
    if not options.names:
        tables = [
            Table(_HUB, list(HUB.items()), title="on the hub, fetched by name:", name="hub", has_headings=False),
            Table(_DRIVES, DRIVES, title="behind drives, where you click yourself:", name="drives", has_headings=False),
        ]
        print_tables(tables, read_form(options))
        return 0
    folders: dict[str, Path] = {}
    for name in options.names:
        folders |= _list_folders(Path(name)) if name.endswith(_RECIPES) else {_check_name(name): options.out / name}
    found = {name: fetch(HUB[name], folder) for name, folder in folders.items()}
    if options.json:
        print_json(found)
        return 0
    for name, checksums in found.items():
        for file, checksum in checksums.items():
            print(f"{folders[name] / file}: sha256 {checksum}")
        family = FAMILIES[HUB[name].family]
        print(f"{name}: {family.licence}; name {family.attribution}")
    return 0


def _check_name(name: str) -> str:
    if name in DRIVES:
        raise ConfigError(f"{name}: {FAMILIES[name].place}; then rvos checkpoint FILE tells whether it is whole")
    if name not in HUB:
        raise ConfigError(f"no weights {name!a}; {nearest(name, [*HUB, *DRIVES])}")
    return name


def _list_folders(path: Path) -> dict[str, Path]:
    """Return the folders of the hub that a recipe reads, by the names that it gives them."""
    found = find_recipe(path)
    files = [file for node in read_recipe(found.path, found.overrides).nodes for file in node.files()]
    folders = {file.path.name: file.path for file in files if file.path.name in HUB}
    if not folders:
        raise ConfigError(f"{path}: reads no folder called as on the hub; such are {', '.join(HUB)}")
    return folders


def fetch(folder: HubFolder, target: Path) -> dict[str, str]:
    """Bring the files of a folder of the hub to `target` and return their SHA-256; what is there whole stays.

    Files are compared with the checksums that the hub names them by; those of the first fetch are kept beside the
    folder, and later ones are compared with them too.

    Raises:
        InputError: not to be had, or offline mode; a file that is another than at the first fetch.
        StoreError: the folder cannot be written.
    """
    record = target.with_name(f"{target.name}.checksums.json")
    for file in folder.files:
        if not (record.is_file() and (target / file).is_file()):
            download(folder.repository, file, target)
    # What broke off is no part of the weights, which the whole content of the folder identifies.
    shutil.rmtree(target / PARTS, ignore_errors=True)
    found = {file: hash_file(target / file) for file in folder.files}
    known = expect_object(read_json(record), where=str(record)) if record.exists() else {}
    for file, checksum in found.items():
        if known.get(file, checksum) != checksum:
            raise InputError(
                f"{target / file}: sha256 {checksum}, at the first fetch it was {known[file]}; delete the folder and "
                "fetch it again, or keep the other file under another name"
            )
    write_atomically(record, json.dumps(found, indent=1).encode())
    return found


_HUB = (
    Column("name", lambda row: row[0]),
    Column("licence", lambda row: FAMILIES[row[1].family].licence),
    Column("address", lambda row: row[1].address),
    Column("files", lambda row: row[1].files, forms=("json",)),
)
_DRIVES = (
    Column("name", lambda name: name),
    Column("licence", lambda name: FAMILIES[name].licence),
    Column("place", lambda name: FAMILIES[name].place, folds=True),
)
