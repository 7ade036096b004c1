"""The noun of a sentence: what a detector is asked for. Closed word classes, no model, no download.

Source: docs/specs/refinement.md, section 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rvos.errors import InputError
from rvos.files.json_files import expect_object, read_json
from rvos.language.noun_words import (
    ADJECTIVES,
    ADVERBS,
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    IRREGULAR,
    NO_ADVERBS,
    NO_PARTICIPLES,
    NO_PAST_FORMS,
    NOUNS_TOO,
    PARTITIVES,
    POSITIONS,
    PREPOSITIONS,
    PRONOUNS,
    RELATIVES,
    VERBS,
)
from rvos.videos import Expression, Video

NounSource = Literal["file", "rules", "expression"]
SEPARATOR = " . "
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_THERE = re.compile(r"^\s*there(?:'s|\u2019s|\s+is|\s+are)\b\s*")
_NAME_NOTHING = (ADJECTIVES - NOUNS_TOO) | POSITIONS
_ENDS = PREPOSITIONS | RELATIVES | AUXILIARIES | DETERMINERS | PRONOUNS | ADVERBS


@dataclass(frozen=True, slots=True)
class Noun:
    """What a sentence is about.

    Args:
        text: what is looked for, lower case; several nouns are separated by " . "; empty for a sentence without words.
        phrase: the whole noun phrase.
        source: `file`: the user's; `rules`; `expression`: no noun was found, the text is the whole sentence.
    """

    text: str
    phrase: str
    source: NounSource


@dataclass(frozen=True, slots=True)
class NounSettings:
    """`nouns:` of a recipe.

    Args:
        file: JSON object that maps `VIDEO/EXPRESSION`, or the exact sentence, to a noun phrase; it wins over the rules.
        text: `head`: detectors are asked for the noun alone; `phrase`: for the whole noun phrase, which finds fewer
            and more specific objects.
        synonyms: noun -> the noun to ask for instead, so that fewer have to be tracked.
        broader: noun -> what it is a sort of, before the built-in lists.
    """

    file: Path | None = None
    text: Literal["head", "phrase"] = "head"
    synonyms: Mapping[str, str] = field(default_factory=dict)
    broader: Mapping[str, str] = field(default_factory=dict)


class NounFinder:
    """Finds the nouns of a data set's sentences. Raises InputError: the user's file is unreadable, or another form."""

    def __init__(self, settings: NounSettings = NounSettings()) -> None:
        self._settings = settings
        self._given = {} if settings.file is None else read_nouns(settings.file)

    def find(self, video: Video, expression: Expression) -> Noun:
        """Return the noun of a sentence."""
        given = self._given.get(f"{video.id}/{expression.id}", self._given.get(expression.text))
        if given is not None:
            names = SEPARATOR.join(split_names(given.lower()))
            return Noun(names, names, "file")
        words = find_phrase(expression.text)
        if not words:
            has_words = _WORD.search(expression.text) is not None
            text = plain_sentence(expression) if has_words else ""
            return Noun(text, text, "expression")
        phrase = " ".join(words)
        text = words[-1] if self._settings.text == "head" else phrase
        return Noun(self._settings.synonyms.get(text, text).lower(), phrase, "rules")

    def find_all(self, video: Video) -> tuple[str, ...]:
        """Return what is looked for in a video, each text once, in the order of its sentences; never an empty text."""
        nouns = (self.find(video, expression).text for expression in video.expressions)
        return tuple(dict.fromkeys(noun for noun in nouns if noun))


def read_nouns(path: Path) -> dict[str, str]:
    """Return a user's nouns by `VIDEO/EXPRESSION` or sentence. Raises InputError: unreadable, or not all are texts."""
    content = expect_object(read_json(path), where=str(path))
    for key, noun in content.items():
        if not isinstance(noun, str) or not noun.strip(" ."):
            raise InputError(f"{path}: {ascii(key)[:60]}: {ascii(noun)[:40]} is no noun; give text such as 'cat'")
    return content


def plain_sentence(expression: Expression) -> str:
    """Return a sentence as detectors are asked for it: in lower case, without full stops, which end a name in some."""
    return " ".join(expression.text.lower().replace(".", " ").split())


def split_names(text: str) -> tuple[str, ...]:
    """Return the nouns of a text one by one, such as ("man", "woman") of "man . woman"."""
    return tuple(name for part in text.split(".") if (name := part.strip()))


def is_category(noun: str, category: str) -> bool:
    """Tell whether a noun phrase names a category, in singular or plural: "black dogs" is a "dog"."""
    head = noun.split()[-1] if noun.split() else ""
    return category in (noun, head) or to_singular(category) in (to_singular(noun), to_singular(head))


def to_singular(noun: str) -> str:
    """Return the singular of a plural; other words may lose letters, which is the same on both sides."""
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    if noun.endswith(("ses", "xes", "zes", "ches", "shes")):
        return noun[:-2]
    return noun.removesuffix("s")


def find_phrase(sentence: str) -> tuple[str, ...]:
    """Return the words of the first noun phrase, the noun itself last; none where the rules find no noun."""
    words = _split(sentence)
    while words:
        phrase, rest = _collect(words)
        if phrase and phrase[-1] in PARTITIVES and rest[:1] == ["of"]:
            words = rest[1:]
            continue
        while len(phrase) > 1 and phrase[-1] in POSITIONS:
            phrase.pop()
        names_nothing = not phrase or phrase[-1] in _NAME_NOTHING or phrase[-1].isdecimal()
        return () if names_nothing else tuple(phrase)
    return ()


def _split(sentence: str) -> list[str]:
    """Return the words in lower case, without what stands before the noun phrase."""
    text = _THERE.sub("", sentence.lower())
    first = _WORD.search(text)
    if first is not None and first[0] in PREPOSITIONS and "," in text:
        text = text.partition(",")[2]
    return [word.replace("\u2019", "'") for word in _WORD.findall(text)]


def _collect(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words of the phrase that begins the sentence, and all words after it."""
    start = 0
    while start < len(words) and (words[start] in DETERMINERS or words[start].isdecimal()):
        if _is_partitive(words, start):
            return [words[start]], list(words[start + 1 :])
        start += 1
    phrase: list[str] = []
    for place in range(start, len(words)):
        word, after = words[place], words[place + 1 : place + 2]
        if word.endswith(("'s", "s'")):
            phrase = []  # "the man's dog": what follows is meant
        elif word in CONJUNCTIONS and phrase and after and all(one in ADJECTIVES for one in phrase):
            continue  # "black and white dog"
        elif _ends_phrase(word, after, phrase):
            return phrase, list(words[place:])
        else:
            phrase.append(word)
    return phrase, []


def _is_partitive(words: Sequence[str], place: int) -> bool:
    """Tell whether a number stands for a part: "one of the dogs"."""
    return words[place] in PARTITIVES and words[place + 1 : place + 2] == ["of"]


def _ends_phrase(word: str, after: Sequence[str], phrase: Sequence[str]) -> bool:
    """Tell whether a word no longer belongs to a phrase; `after` is the next word, if there is one."""
    has_noun = any(one not in ADJECTIVES for one in phrase)
    if word in _ENDS or word in CONJUNCTIONS or (word.endswith("ly") and word not in NO_ADVERBS):
        return True
    if word in VERBS and has_noun:
        return True
    is_last = not after or after[0] in _ENDS or after[0] in CONJUNCTIONS
    if word.endswith("ing") and word not in NO_PARTICIPLES:
        return has_noun or is_last  # "a walking man", but "jumping over the fence"
    return word.endswith("ed") and word not in NO_PAST_FORMS and is_last
