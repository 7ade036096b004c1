"""Clean-up of expressions and the word-piece tokeniser with its guard."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from reference import LISTS

from runners.networks.text.word_pieces import WordPieces
from runners.passes.frame_runner import clean_expression
from rvos.errors import ConfigError, InputError

KNOWN = {
    "[PAD]": 0,
    "[UNK]": 100,
    "[CLS]": 101,
    "[SEP]": 102,
    "a": 1037,
    "the": 1996,
    "man": 2158,
    "world": 2088,
    "person": 2711,
    "hello": 7592,
    "##s": 2015,
}


def write_vocabulary(folder: Path, known: dict[str, int]) -> Path:
    words = [f"[unused{index}]" for index in range(max(known.values()) + 1)]
    for word, index in known.items():
        words[index] = word
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


def test_official_examples_are_cleaned_alike() -> None:
    for example in json.loads((LISTS / "uninext_text_cleaning.json").read_text(encoding="utf-8")):
        assert clean_expression(example["raw"]) == example["clean"]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("A man's T-shirt.", "a mans t shirt"),
        ("left/right  (both)", "left right  both"),
        ("", ""),
        ("?!", ""),
        ("über 9000", "über 9000"),
    ],
)
def test_punctuation_goes_and_white_space_stays(raw: str, clean: str) -> None:
    assert clean_expression(raw) == clean


def test_texts_get_special_tokens_and_are_padded(tmp_path: Path) -> None:
    tokens = WordPieces.from_folder(write_vocabulary(tmp_path, KNOWN))
    ids, mask = tokens.encode(["the man", "a person"[:1]])
    assert ids.tolist() == [[101, 1996, 2158, 102], [101, 1037, 102, 0]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert tokens.vocabulary_size == 7593


def test_long_texts_are_cut_before_the_last_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = WordPieces.from_folder(write_vocabulary(tmp_path, KNOWN), max_tokens=4)
    with caplog.at_level(logging.WARNING):
        ids, _ = tokens.encode(["the man the man the man"])
    assert ids.tolist() == [[101, 1996, 2158, 102]]
    assert "8 tokens, cut to 4" in caplog.text


def test_a_text_of_unknown_words_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = WordPieces.from_folder(write_vocabulary(tmp_path, KNOWN))
    with caplog.at_level(logging.WARNING):
        assert tokens.encode(["слон"])[0].tolist() == [[101, 100, 102]]
    assert "none of its words" in caplog.text


@pytest.mark.parametrize("texts", [[], [""], ["the man", "  "]], ids=["no text", "empty", "blank"])
def test_no_words_are_an_input_error(tmp_path: Path, texts: list[str]) -> None:
    tokens = WordPieces.from_folder(write_vocabulary(tmp_path, KNOWN))
    with pytest.raises(InputError):
        tokens.encode(texts)


def test_a_folder_without_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no vocab\.txt"):
        WordPieces.from_folder(tmp_path)


def test_an_undecodable_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        WordPieces.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"[CLS]": 5}, "have the ids"), ({"man": 2159}, "gives the ids"), ({"[UNK]": 99}, "have the ids")],
    ids=["special", "word", "unknown"],
)
def test_another_vocabulary_is_refused(tmp_path: Path, changed: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WordPieces.from_folder(write_vocabulary(tmp_path, {**KNOWN, **changed}))
