"""Text, JSON and YAML that are right but for a few places."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import yaml

Spoil = Callable[[bytes, Random], bytes]

NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 255, 256, 2**31 - 1, 2**31, 2**32, 2**40, 2**53 + 1, 2**62, 3 * 10**18, 2**63, 2**64, 10**30),
    *(10**400, -(2**63), 0.5, -0.5, 1e-320, 1e308, 1e400, -1e400, float("nan"), 0.1, 1e9),
)
TEXTS = (
    *("", " ", ".", "..", "/", "a/b", "../../x", "/etc/passwd", "C:", "~", "~nosuchuser/x", "x" * 300, "y" * 5000),
    *(
        "\0",
        "\ud800",
        "\u202e",
        "\n",
        "\t",
        "\x1b[31m",
        "ü" * 130,
        "e\u0301",
        "\u00e9",
        "\uff10",
        "\u0663",
        "\u00bd",
        "\u0130",
    ),
    *("<script>alert(1)</script>", "<!--<script>", "</script>", "${HOME}", "$(touch was_run)", "`id`", "%s", "{0}"),
    *("null", "true", "on", "1e3", "0x10", "1_000", "2001-01-01", "1e99999999", ".inf", ".nan", "1/3", "2 of 4"),
    *("9" * 5000, "-1", "0", "1", "first", "pair", "final", "v1", "00000", "00005", "evil:build", "evil", "os:system"),
    *("png", "npz", "agreement", "runs", "object_id", "data", "ws", "my.yaml", "masks/a", "?", "*", "&a", "!!x"),
)
_PIECES = (
    *("\t", "  ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "!!python/object/apply:os.system ['touch was_run']"),
    *(
        "---\n",
        "...\n",
        "<<: *a",
        "? ",
        "| \n",
        "> \n",
        "'",
        '"',
        "\\",
        ",",
        "#",
        "%YAML 9.9\n",
        "\ufeff",
        "\x85",
        "\u2028",
    ),
    *("!!binary aGk=", "!!timestamp 2001-01-01", "@", "`", "\r", "\x0c", "0o7", "1e5000", "~"),
)
_WORD = re.compile(r"[^\s:,{}\[\]\"']+")


def strange(random: Random) -> Any:
    """Return a value that is hardly ever meant."""
    kind = random.randrange(10)
    if kind < 4:
        return random.choice(NUMBERS)
    if kind < 7:
        return random.choice(TEXTS)
    depth = random.choice((1, 2, 50, 99, 150, 2000))
    return random.choice(
        (None, True, False, [], {}, [[]], {"": []}, [1, 2], ["x"] * 3, [None] * 1000, {"a": {"a": 1}}, _nest(depth))
    )


def _nest(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def spoil_value(content: Any, random: Random) -> Any:
    """Return a copy of a tree of lists and dictionaries in which one to three places are something else."""
    changed = copy.deepcopy(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = list(_places(changed))
        if not places:
            return strange(random)
        owner, key = random.choice(places)
        _spoil_place(owner, key, random, places)
    return changed


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return (owner, key) of every part of a value."""
    found, waiting = [], [value]
    while waiting:
        owner = waiting.pop()
        keys = list(owner) if isinstance(owner, dict) else range(len(owner)) if isinstance(owner, list) else ()
        found += [(owner, key) for key in keys]
        waiting += [owner[key] for key in keys]
    return found


def _spoil_place(owner: Any, key: Any, random: Random, places: list[tuple[Any, Any]]) -> None:
    kind = random.randrange(8)
    old = owner[key]
    if kind < 3:
        owner[key] = strange(random)
    elif kind == 3:
        other, place = random.choice(places)
        owner[key] = copy.deepcopy(other[place])
    elif kind == 4:
        del owner[key]
    elif kind == 5 and isinstance(owner, dict):
        owner[random.choice(TEXTS)] = owner.pop(key)
    elif kind == 5:
        owner.insert(key, copy.deepcopy(old))
    elif isinstance(old, bool | int | float):
        owner[key] = random.choice((str(old), [old], old + random.choice((1, -1, 0.5)), -old))
    elif isinstance(old, str):
        owner[key] = random.choice((old + random.choice(TEXTS), old[:-1], old.upper(), [old], {old: old}, f" {old} "))
    elif isinstance(old, list):
        owner[key] = random.choice((old[:-1], old * 2, old[::-1], [old], dict(enumerate(map(str, old)))))
    else:
        owner[key] = random.choice(([old], list(old or ()), str(old)[:100]))


def spoil_bytes(content: bytes, random: Random) -> bytes:
    """Return bytes of which some are flipped, cut, doubled, moved or replaced."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 5))):
        start = random.randrange(len(changed) + 1)
        length = random.choice((1, 1, 2, 4, 8, 64, len(changed) // 4 + 1))
        part = changed[start : start + length]
        kind = random.randrange(8)
        if kind < 3 and part:
            changed[start] ^= 1 << random.randrange(8)
        elif kind == 3:
            changed[start : start + length] = random.randbytes(len(part))
        elif kind == 4:
            del changed[start : start + length]
        elif kind == 5:
            changed[start:start] = part
        elif kind == 6:
            fill = random.choice((b"\0", b"\xff", b"\x7f", b" "))
            changed[start : start + length] = fill * len(part)
        else:
            del changed[start:]
    return bytes(changed)


def replace_all(content: bytes, random: Random) -> bytes:
    """Return what stands in place of a file where a copy or a download went wrong."""
    return random.choice(
        (
            b"",
            b"\0" * 4096,
            b"<!DOCTYPE html><html><body>Not found</body></html>",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            b"PK\x03\x04",
            b"PK\x05\x06" + bytes(18),
            b"\x80\x02.",
            b"{}",
            b"[]",
            b"null",
            random.randbytes(300),
            content[: len(content) // 2],
            content + content,
            content[::-1],
        )
    )


def spoil_text(content: bytes, random: Random) -> bytes:
    """Return text whose lines, words or letters are changed."""
    text = content.decode("utf-8", "replace")
    for _ in range(random.choice((1, 1, 2, 3))):
        kind = random.randrange(6)
        lines = text.splitlines(keepends=True) or [""]
        at = random.randrange(len(lines))
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, random.choice(lines))
        elif kind == 2:
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            words = list(_WORD.finditer(lines[at]))
            if words:
                word = random.choice(words)
                new = str(random.choice(random.choice((NUMBERS[:16], TEXTS))))[:6000]
                lines[at] = lines[at][: word.start()] + new + lines[at][word.end() :]
        else:
            place = random.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:place] + random.choice(_PIECES) + lines[at][place:]
        text = "".join(lines)
    return text.encode("utf-8", "surrogatepass")


def spoil_json(content: bytes, random: Random) -> bytes:
    """Return a JSON file with other values, other text or other bytes."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return spoil_text(content, random)
    try:
        return json.dumps(spoil_value(value, random), ensure_ascii=random.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )
    except (ValueError, RecursionError):
        return b"[" * 5000


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def spoil_yaml(content: bytes, random: Random) -> bytes:
    """Return a YAML file with other values, other text or other bytes."""
    if random.random() < 0.4:
        return spoil_text(content, random)
    try:
        value = spoil_value(yaml.safe_load(content), random)
        text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=random.random() < 0.3)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return spoil_text(content, random)
    return str(text).encode("utf-8", "surrogatepass")


def spoil_csv(content: bytes, random: Random) -> bytes:
    """Return a table with other cells."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8", "replace"))))
    except csv.Error:
        return spoil_text(content, random)
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(
        [map(str, row)] if not isinstance(row, list) else map(str, row) for row in _as_rows(spoil_value(rows, random))
    )
    return stream.getvalue().encode("utf-8", "surrogatepass")


def _as_rows(value: Any) -> list[list[Any]]:
    return [row if isinstance(row, list) else [row] for row in value] if isinstance(value, list) else [[value]]


def make_override(recipe: Any, random: Random) -> str:
    """Return a word for `--set`: a key of the recipe, or nearly one, and a value."""
    keys: list[str] = []
    value = recipe
    while isinstance(value, dict | list) and value and (not keys or random.random() < 0.8):
        key = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
        keys.append(str(key))
        value = value[key]
    if random.random() < 0.3:
        keys[random.randrange(len(keys))] = str(random.choice(random.choice((TEXTS, NUMBERS[:16]))))
    new = strange(random)
    try:
        text = random.choice((str, json.dumps, repr))(new)
    except RecursionError:
        text = "[" * 3000
    joined = ".".join(keys) + random.choice(("=", "=", "=", "=", "", " = ", "==")) + text
    return joined.replace("\0", "") or "="


SPOILERS: Mapping[str, Spoil] = {
    "text": spoil_text,
    "json": spoil_json,
    "yaml": spoil_yaml,
    "csv": spoil_csv,
}
