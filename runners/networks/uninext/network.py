"""UNINEXT's referring path: frames and expressions in, the best query's mask of every frame out."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn

from runners.networks.attention.deformable_transformer import Memory
from runners.networks.parts.heads import Perceptron
from runners.networks.text.bert import Text, TextEncoder
from runners.networks.text.text_encoder import Resizer
from runners.networks.uninext.association import AssociationHead
from runners.networks.uninext.config import UninextConfig
from runners.networks.uninext.denoising import DenoisingQueries
from runners.networks.uninext.fusion import Fused
from runners.networks.uninext.heads import LanguageMatch, ProposalScore, build_iou_head
from runners.networks.uninext.masks import MaskFeatures, build_controller, double_aligned, paint
from runners.networks.uninext.proposals import Proposals, pick
from runners.networks.uninext.transformer import Decoded, Transformer
from runners.networks.uninext.visual import Visual, build_backbone, build_projections, gather_levels

_BOX_LAYERS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The last decoder layer's queries of N frames, each frame with its expression.

    Args:
        class_logits, iou_logits: `(N, Q)`.
        boxes: `(N, Q, 4)` as (cx, cy, w, h) in [0, 1] of the unpadded frame.
    """

    class_logits: Tensor
    iou_logits: Tensor
    boxes: Tensor
    decoded: Decoded
    memory: Memory

    @property
    def scores(self) -> Tensor:
        """Score of every query, `(N, Q)` in [0, 1]: the geometric mean of match and predicted IoU."""
        return (self.class_logits.sigmoid() * self.iou_logits.sigmoid()).sqrt()


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The best P queries of N frames, best first; the first is the official result.

    Args:
        queries: `(N, P)` int64.
        scores: `(N, P)` in [0, 1].
        logits: `(N, P, h, w)` mask logits at stride 4 of the padded frames.
        embeddings: `(N, P, E)` for association; None where the network has no such head.
    """

    queries: Tensor
    scores: Tensor
    logits: Tensor
    embeddings: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class TrainingOutputs:
    """Everything that the losses read, of N expressions, each in its frame.

    Args:
        class_logits, iou_logits: `(layers, N, Q)`.
        boxes, entering: `(layers, N, Q, 4)` predicted boxes, and the references that entered each layer.
        filters: `(layers, N, Q, n)` of the mask branch.
        mask_features: `(N, F, h, w)` at stride 8.
        sizes: `(N, 2)` height and width of the unpadded frames.
        proposal_logits, proposal_boxes: `(N, S)` and `(N, S, 4)` of every token.
        shapes: height and width of each level's map; their areas sum to S.
        denoising_logits, denoising_boxes: `(layers, N, D)` and `(layers, N, D, 4)`; None without denoising queries.
        word_scores: `(F, S, V)` of the early fusion with single words; None unless they were asked for.
    """

    class_logits: Tensor
    iou_logits: Tensor
    boxes: Tensor
    entering: Tensor
    filters: Tensor
    mask_features: Tensor
    sizes: Tensor
    proposal_logits: Tensor
    proposal_boxes: Tensor
    shapes: tuple[tuple[int, int], ...]
    denoising_logits: Tensor | None
    denoising_boxes: Tensor | None
    word_scores: Tensor | None = None


class Detector(nn.Module):
    """Backbone, projections, transformer and query heads, with `auxiliary` those of earlier layers for training."""

    def __init__(self, config: UninextConfig, *, auxiliary: bool) -> None:
        super().__init__()
        width, last = config.width, config.decoder_layers - 1
        self.backbone = nn.ModuleList([nn.Sequential(OrderedDict(backbone=build_backbone(config.backbone)))])
        self.input_proj = build_projections(config)
        self.transformer = Transformer(config)
        # One box head more than layers: the last is that of the proposals.
        self.bbox_embed = nn.ModuleList(Perceptron(*([width] * _BOX_LAYERS), 4) for _ in range(last + 2))
        # Inference reads the last layer's heads alone: the others are not built, and their keys are left in the file.
        kept = range(0 if auxiliary else last, last + 1)
        self.class_embed = nn.ModuleDict({str(index): LanguageMatch(width, config.text.width) for index in kept})
        self.class_embed[str(last + 1)] = ProposalScore(width)
        self.iou_head = nn.ModuleDict({str(index): build_iou_head(width) for index in kept})

    def reset_parameters(self) -> None:
        """Start for training: Xavier projections, boxes that begin at their references."""
        self.transformer.reset_parameters()
        for name, parameter in self.input_proj.named_parameters():
            if name.endswith("0.weight"):
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("0.bias"):
                nn.init.zeros_(parameter)
        for name, parameter in self.bbox_embed.named_parameters():
            if f".layers.{_BOX_LAYERS - 1}." in name:
                nn.init.zeros_(parameter)

    @property
    def n_layers(self) -> int:
        """Number of decoder layers."""
        return len(self.transformer.decoder.layers)

    def look(self, frames: Tensor, padding: Tensor, sizes: Tensor) -> Visual:
        """Return the tokens of normalised, padded frames `(N, 3, H, W)`."""
        # (N, 3, H, W) -> strides 8, 16, 32; stride 64 comes from the raw last map
        maps = self.backbone[0](frames)
        projected = [projection(level) for projection, level in zip(self.input_proj, [*maps, maps[-1]], strict=True)]
        return gather_levels(projected, padding, sizes, self.transformer.level_embed)

    def propose(self, memory: Memory, visual: Visual) -> Proposals:
        """Return the boxes that the queries start from."""
        last = self.n_layers
        score, box = self.class_embed[str(last)], self.bbox_embed[last]
        return self.transformer.propose(memory, visual, score, box)  # type: ignore[arg-type]

    def decode(self, memory: Memory, proposals: Proposals, denoising: DenoisingQueries | None = None) -> Decoded:
        """Return the decoder's layers; denoising queries come first."""
        # Proposals are trained by losses of their own, never through the decoder.
        reference = proposals.boxes.detach().sigmoid()
        content = self.transformer.content(*reference.shape[:2])
        hidden = None
        if denoising is not None:
            content = torch.cat([denoising.content, content], dim=1)
            reference = torch.cat([denoising.boxes, reference], dim=1)
            hidden = denoising.hidden(content.shape[1])
        return self.transformer.decoder(content, reference, memory, self.bbox_embed, hidden)

    def classify(self, layer: int, states: Tensor, sentence: Tensor) -> Tensor:
        """Return one layer's class logits `(N, Q)`; `sentence` `(N, D)` is the mean of the fused text."""
        return self.class_embed[str(layer)](states, sentence)

    def predict_iou(self, layer: int, states: Tensor) -> Tensor:
        """Return one layer's IoU logits `(N, Q)`."""
        return self.iou_head[str(layer)](states)[..., 0]


class Segmenter(nn.Module):
    """The detector with its mask branch; carries the outer `detr` of the released names."""

    def __init__(self, config: UninextConfig, *, auxiliary: bool) -> None:
        super().__init__()
        self.detr = Detector(config, auxiliary=auxiliary)
        self.controller = build_controller(config)
        self.mask_head = MaskFeatures(config)
        if config.association_layers:
            self.reid_embed_head = AssociationHead(config)
        if auxiliary:
            # The content of denoising queries.
            self.resizer = Resizer(config.text.width, config.width, 0.0)


class Uninext(nn.Module):
    """The referring network under the released names; `auxiliary`: with the parts that only training reads."""

    def __init__(self, config: UninextConfig, *, auxiliary: bool = False) -> None:
        super().__init__()
        self.config = config
        self.text_encoder = TextEncoder(config.text)
        self.detr = Segmenter(config, auxiliary=auxiliary)
        use_direct_products(self)

    def reset_parameters(self) -> None:
        """Start all parts but BERT and the backbone for training."""
        self.detr.detr.reset_parameters()

    def read(self, ids: Tensor, mask: Tensor) -> Text:
        """Return the tokens of expressions, ids and mask `(B, n)`; mask 1 = token."""
        return self.text_encoder(ids, mask)

    def look(self, frames: Tensor, sizes: Tensor, padding: Tensor | None = None) -> Visual:
        """Return what depends on the frames only, to be shared by all expressions.

        Args:
            frames: `(N, 3, H, W)` normalised and padded; `sizes` `(N, 2)` before padding.
            padding: `(N, H, W)` bool; None: everything right of and below `sizes`.
        """
        if padding is None:
            height, width = frames.shape[-2:]
            rows = torch.arange(height, device=frames.device) >= sizes[:, :1]
            columns = torch.arange(width, device=frames.device) >= sizes[:, 1:]
            padding = rows[:, :, None] | columns[:, None, :]
        return self.detr.detr.look(frames, padding, sizes)

    def detect(self, visual: Visual, text: Text) -> Detections:
        """Return the last layer's queries of N frames with N expressions."""
        inner = self.detr.detr
        fused: Fused = inner.transformer.encoder.fusion(visual, text)
        # Tokens have read the words once; the six layers that follow see pixels only.
        memory = inner.transformer.encode(fused.visual, visual)
        decoded = inner.decode(memory, inner.propose(memory, visual))
        last = inner.n_layers - 1
        states = decoded.states[last]
        return Detections(
            # The text after it has seen the frame: another frame gives another sentence vector.
            inner.classify(last, states, fused.text.mean()),
            inner.predict_iou(last, states),
            decoded.boxes[last],
            decoded,
            memory,
        )

    def paint(self, detections: Detections, queries: Tensor, sizes: Tensor) -> Tensor:
        """Return mask logits `(N, P, h, w)` at stride 4 of the queries `(N, P)`."""
        features = self.detr.mask_head(detections.memory.maps())
        filters = self.detr.controller(pick(detections.decoded.states[-1], queries))
        # The reference that entered the last layer, not the box that left it: so the filters were trained.
        centres = pick(detections.decoded.entering[-1], queries)[..., :2]
        return double_aligned(paint(features, filters, centres, sizes))

    def select(self, detections: Detections, sizes: Tensor, n_best: int = 1) -> Selection:
        """Return the best queries of each frame with their masks; `sizes` `(N, 2)` before padding."""
        # The best of this frame alone, without threshold: a mask is painted even where nothing is meant.
        scores, queries = detections.scores.topk(min(n_best, detections.scores.shape[1]), dim=1)
        embeddings = None
        if n_best > 1 and self.config.association_layers:
            states = detections.decoded.states[-1]
            embeddings = pick(self.detr.reid_embed_head(states, detections.boxes, detections.memory), queries)
        return Selection(queries, scores, self.paint(detections, queries, sizes), embeddings)

    def segment(self, visual: Visual, text: Text, n_best: int = 1) -> Selection:
        """Return the best queries of each of N frames, each with its expression."""
        return self.select(self.detect(visual, text), visual.sizes, n_best)

    def forward(
        self,
        frames: Tensor,
        padding: Tensor,
        ids: Tensor,
        mask: Tensor,
        sizes: Tensor,
        owners: Tensor,
        denoising_boxes: Tensor | None = None,
        words: Tensor | None = None,
    ) -> TrainingOutputs:
        """Return what the losses read, of N expressions; those of one frame share its visual pass.

        Args:
            frames: `(F, 3, H, W)` normalised, padded.
            padding: `(F, H, W)` bool.
            ids, mask: `(N, n)` tokens of the expressions.
            sizes: `(F, 2)` height and width before padding.
            owners: `(N,)` int64, the frame of each expression.
            denoising_boxes: `(N, groups, 2, 4)` noisy boxes, positives before negatives; None: no denoising.
            words: `(V, 3)` ids of words one by one, between special tokens, to score at every pixel; None: none.
        """
        seen = self.look(frames, sizes, padding)
        visual, text = seen.select(owners), self.read(ids, mask)
        denoising = None
        if denoising_boxes is not None:
            denoising = DenoisingQueries.build(self.detr.resizer(text.mean()), denoising_boxes)
        outputs = self._all_layers(visual, text, denoising)
        if words is None:
            return outputs
        # (V, 3, D) -> (V, D): the word between [CLS] and [SEP]
        tokens = self.read(words, torch.ones_like(words)).tokens[:, 1]
        return replace(outputs, word_scores=self.detr.detr.transformer.encoder.fusion.score_words(seen, tokens))

    def _all_layers(self, visual: Visual, text: Text, denoising: DenoisingQueries | None) -> TrainingOutputs:
        inner = self.detr.detr
        fused: Fused = inner.transformer.encoder.fusion(visual, text)
        memory = inner.transformer.encode(fused.visual, visual)
        proposals = inner.propose(memory, visual)
        decoded = inner.decode(memory, proposals, denoising)
        sentence = fused.text.mean()
        layers = range(inner.n_layers)
        logits = torch.stack([inner.classify(index, decoded.states[index], sentence) for index in layers])
        # Denoising queries stand in front and are cut off again: (layers, N, D + Q, C) -> (layers, N, Q, C)
        first = denoising.n_queries if denoising is not None else 0
        states = decoded.states[:, :, first:]
        # Losses of the proposals match all tokens; evaluation has computed the chosen ones only.
        boxes = proposals.all_boxes if proposals.all_boxes is not None else proposals.boxes
        return TrainingOutputs(
            class_logits=logits[..., first:],
            iou_logits=torch.stack([inner.predict_iou(index, states[index]) for index in layers]),
            boxes=decoded.boxes[:, :, first:],
            entering=decoded.entering[:, :, first:],
            filters=self.detr.controller(states),
            mask_features=self.detr.mask_head(memory.maps()),
            sizes=visual.sizes,
            proposal_logits=proposals.scores,
            proposal_boxes=boxes.sigmoid(),
            shapes=visual.shapes,
            denoising_logits=logits[..., :first] if first else None,
            denoising_boxes=decoded.boxes[:, :, :first] if first else None,
        )


def pad_frames(frames: Tensor, multiple: int) -> Tensor:
    """Return frames `(N, 3, H, W)` with zeros at the right and bottom up to a multiple of `multiple`."""
    height, width = frames.shape[-2:]
    return F.pad(frames, (0, -width % multiple, 0, -height % multiple))
