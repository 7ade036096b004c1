"""Qwen2.5-VL and Qwen3-VL as judges through `transformers`, from a folder, offline; nothing in it is executed.

Sheets are prepared by the library's Pillow processor, so that torchvision is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from deaot_toolkit.errors import CheckpointError as ToolkitCheckpointError
from deaot_toolkit.hub_folders import HUB_INDEX, HUB_WEIGHTS, read_hub_weights
from huggingface_hub.errors import StrictDataclassError

from runners.judges.base import Question
from runners.judges.settings import HubJudgeSettings
from rvos.errors import CheckpointError, ConfigError
from rvos.files.json_files import expect_object, read_json

_CLASSES = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL"}
"""Model types and what their classes of `transformers` begin with."""
_DAMAGE = (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError, StrictDataclassError)
_PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_TURN = "<|im_start|>user\n<|vision_start|>{image}<|vision_end|>{text}<|im_end|>\n<|im_start|>assistant\n"
_IMAGE, _END = "<|image_pad|>", "<|im_end|>"
_NEEDED = ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", _IMAGE, _END)
_SHOWN = 3


class HubJudge:
    """A loaded network with its tokeniser and its processor of images; it answers greedily, so always alike."""

    def __init__(self, network: Any, tokens: Any, processor: Any, *, limit: int, device: torch.device) -> None:
        self._network = network.to(device).eval()
        self._tokens, self._processor, self._limit, self._device = tokens, processor, limit, device

    @torch.inference_mode()
    def answer(self, question: Question) -> str:
        """See `Judge`."""
        picture = self._processor(images=[question.sheet], return_tensors="pt")
        grid = picture["image_grid_thw"]
        n_tokens = int(grid[0].prod()) // self._processor.merge_size**2
        # A mark in a sentence would pass for one of ours.
        text = question.text.replace("<|", "< |")
        turn = _TURN.format(image=_IMAGE * n_tokens, text=text)
        ids = self._tokens(turn, return_tensors="pt", add_special_tokens=False)["input_ids"].to(self._device)
        marks = (ids == self._tokens.convert_tokens_to_ids(_IMAGE)).int()
        end = self._tokens.convert_tokens_to_ids(_END)
        said = self._network.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=marks,
            pixel_values=picture["pixel_values"].to(self._device, self._network.dtype),
            image_grid_thw=grid.to(self._device),
            max_new_tokens=self._limit,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=end,
        )
        return str(self._tokens.decode(said[0, ids.shape[1] :], skip_special_tokens=True))


def check(settings: HubJudgeSettings) -> None:
    """Raise a CheckpointError or ConfigError for a folder that cannot be loaded; no weights are read."""
    config, _ = _read_folder(settings.checkpoint, outline=True)
    _load_words(settings)
    try:
        with torch.device("meta"):
            _find_class(settings.checkpoint)(config)
    except _DAMAGE as error:
        raise _damaged(settings.checkpoint, error) from None


def build(settings: HubJudgeSettings, *, place: Path, device: str) -> HubJudge:
    """Return the judge in a folder. Raises CheckpointError: files missing, damaged, or of another network."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # a second bar in the middle of a run's own
    logging.set_verbosity_error()  # what does not fit is told below, in one line
    folder = settings.checkpoint
    config, state = _read_folder(folder, outline=False)
    tokens, processor = _load_words(settings)
    try:
        network, info = _find_class(folder).from_pretrained(
            None, config=config, state_dict=state, dtype=_PRECISIONS[settings.precision], output_loading_info=True
        )
    except _DAMAGE as error:
        raise _damaged(folder, error) from None
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(str(key) for key in info[problem]):
            raise CheckpointError(
                f"{folder}: {len(keys)} {problem.replace('_', ' ')}, such as {', '.join(keys[:_SHOWN])}; "
                "give the whole folder of one model"
            )
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else torch.device(device)
    return HubJudge(network, tokens, processor, limit=settings.tokens, device=where)


def _find_class(folder: Path, what: str = "ForConditionalGeneration") -> Any:
    """Return a class of `transformers` for the model of a folder."""
    import transformers

    advice = "give a folder such as Qwen/Qwen3-VL-8B-Instruct of the hub, whole"
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "no such folder"
        raise CheckpointError(f"{folder}: {what}; {advice}")
    weights = HUB_INDEX if (folder / HUB_INDEX).is_file() else HUB_WEIGHTS
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json", weights):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: no {name}; {advice}")
    path = folder / "config.json"
    stated = expect_object(read_json(path), where=str(path)).get("model_type")
    if stated not in _CLASSES:
        raise CheckpointError(f"{folder}: a model of type {ascii(stated)[:40]}, expected {' or '.join(_CLASSES)}")
    return getattr(transformers, _CLASSES[stated] + what)


def _read_folder(folder: Path, *, outline: bool) -> tuple[Any, Any]:
    """Return the configuration and the weights of a folder."""
    kind = _find_class(folder, "Config")
    try:
        return kind.from_pretrained(folder, local_files_only=True), read_hub_weights(folder, outline=outline)
    except ToolkitCheckpointError as error:
        raise CheckpointError(str(error)) from None
    except _DAMAGE as error:
        raise _damaged(folder, error) from None


def _load_words(settings: HubJudgeSettings) -> tuple[Any, Any]:
    """Return the tokeniser and the processor of images. Raises ConfigError: a tokeniser without the marks of turns."""
    from transformers import PreTrainedTokenizerFast
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    folder = settings.checkpoint
    limits = {} if settings.pixels is None else {"max_pixels": settings.pixels}
    try:
        tokens = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        processor = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True, **limits)
    except Exception as error:  # the tokeniser's library raises plain exceptions
        raise _damaged(folder, error) from None
    known = tokens.get_vocab()
    if lacking := [mark for mark in _NEEDED if mark not in known]:
        raise ConfigError(f"{folder}: the tokeniser lacks {', '.join(lacking)}; give the model's own folder, whole")
    return tokens, processor


def _damaged(folder: Path, error: Exception) -> CheckpointError:
    reason = " ".join(str(error).split())[:200]
    return CheckpointError(f"{folder}: cannot be loaded ({reason}); copy the folder again")
