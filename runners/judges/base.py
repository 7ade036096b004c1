"""What a judge is, what it is asked, and what a recipe says of it whichever it is; free of torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rvos.settings import Folder, Given

Word = Literal["accept", "reject", "uncertain"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of one candidate, and why."""

    word: Word
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One sheet and what is asked about it.

    Args:
        video, expression: ids, and `names` those of the candidates, for logs: they are no part of the question.
        numbers: of the candidates, as the sheet shows them.
        sheet: RGB `(H, W, 3)`, 0 to 255.
        text: what is asked, with the sentence and the form of the answer.
    """

    video: str
    expression: str
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    sheet: NDArray[np.uint8]
    text: str

    def content_hash(self) -> str:
        """Return what tells this sheet and text from all others, 64 hexadecimal digits."""
        digest = hashlib.sha256(repr(self.sheet.shape).encode() + self.sheet.tobytes())
        digest.update(self.text.encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """One entry of `judges:` in a recipe; each judge has a class with its own settings.

    Args:
        judge: name.
        verdicts: folder that keeps its verdicts; several workspaces may share one. None: `verdicts` of the workspace.
        beside: folder of the recipe; no key of the recipe.
        name: that the recipe calls it by.
    """

    version: ClassVar[int] = 1
    """Raised when the same settings, files and question give another answer: verdicts of before are not used."""

    judge: str
    verdicts: Path | None = field(default=None, kw_only=True)
    beside: Annotated[Path | None, Folder()] = field(default=None, kw_only=True)
    name: Annotated[str, Given("name")] = field(default="", kw_only=True)

    @property
    def files(self) -> Mapping[str, tuple[Path, ...]]:
        """What must be on disk and decides its answers, by what it is, such as `checkpoint`."""
        return {}


class Judge(Protocol):
    """A loaded judge."""

    def answer(self, question: Question) -> str:
        """Return its answer as it gave it.

        Raises:
            InputError: it gave none: it ended, took too long, or its answer is too large to be one.
        """
