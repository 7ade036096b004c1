"""Tokenisers that give the ids by which the official ones are known, in files as the hub has them.

The words of the synthetic sentences are one piece each, so that sentences are as long for a network as they would be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from sam3_toolkit.phrases import learn_pairs

_ROBERTA = 50265
_ROBERTA_WORDS = {"Hello": 31414, "Ġworld": 232, "a": 102, "Ġperson": 621, "the": 627, "Ġon": 15, "Ġthe": 5}
_ROBERTA_WORDS |= {"Ġright": 235}
_BERT = 30522
_BERT_WORDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "a": 1037, "the": 1996, "world": 2088}
_BERT_WORDS |= {"man": 2158, "person": 2711, "hello": 7592}
_CLIP = 49408
_FIRST_FREE = 4


def list_words() -> list[str]:
    """Return the words of the synthetic sentences."""
    return files("runners.networks.text").joinpath("small_vocabulary.txt").read_text(encoding="utf-8").split()


def write_roberta(folder: Path) -> None:
    """Write `vocab.json` and `merges.txt`: a piece a byte, the known words, and those of the sentences."""
    words = [*_ROBERTA_WORDS, *(f"Ġ{word}" for word in list_words())]
    # Words after a blank first, and of these the short ones: no merge of another word comes between.
    chains = sorted(
        (len(word[:end]), word[: end - 1], word[end - 1]) for word in words for end in range(2, 1 + len(word))
    )
    merges = [(left, right) for _, left, right in sorted(chains, key=lambda one: (one[1][0] != "Ġ", one[0]))]
    pieces = {*_list_bytes(), *(left + right for left, right in merges)} - set(_ROBERTA_WORDS)
    vocabulary = _number(_ROBERTA_WORDS, sorted(pieces), _ROBERTA, first=_FIRST_FREE)
    _write_pairs(folder, vocabulary, list(dict.fromkeys(merges)))


def write_bert(folder: Path) -> None:
    """Write `vocab.txt`: the known words, and those of the sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _number(_BERT_WORDS, sorted(set(list_words()) - set(_BERT_WORDS)), _BERT, first=_FIRST_FREE)
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n")


def write_clip(folder: Path) -> None:
    """Write `vocab.json` and `merges.txt` of CLIP's size; the last two pieces are the ends of a phrase."""
    vocabulary, merges = learn_pairs(list_words())
    *pieces, start, end = sorted(vocabulary, key=vocabulary.__getitem__)
    filled = [*pieces, *(f"[unused{index}]" for index in range(_CLIP - len(vocabulary))), start, end]
    _write_pairs(folder, {piece: index for index, piece in enumerate(filled)}, merges)


def _number(known: dict[str, int], pieces: Sequence[str], size: int, *, first: int) -> dict[str, int]:
    """Return a vocabulary of `size` in which the known words keep their ids; what is left over has names of its own."""
    taken = set(known.values())
    others: Iterator[str] = iter([*pieces, *(f"[unused{index}]" for index in range(size))])
    listed = dict(known)
    for index in [*range(first, size), *range(first)]:
        if index not in taken:
            listed[next(others)] = index
    return listed


def _list_bytes() -> list[str]:
    """Return what byte pairs write a byte as."""
    vocabulary, _ = learn_pairs(())
    return [piece for piece in vocabulary if len(piece) == 1]


def _write_pairs(folder: Path, vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
