"""AOT's losses against plain loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rvos_fusion.training.engines.losses import frame_loss, hard_cross_entropy, jaccard_loss


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the loss of every pixel of one sample, 0 where it is ignored."""
    found = []
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            column = logits[:, y, x]
            total = np.log(sum(np.exp(value) for value in column))
            found.append(0.0 if labels[y, x] == 255 else total - column[labels[y, x]])
    return found


def jaccard(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the soft Jaccard loss of one sample over the classes of its label."""
    losses = []
    for name in sorted(set(labels.ravel().tolist()) - {255}):
        common = union = 0.0
        for y in range(labels.shape[0]):
            for x in range(labels.shape[1]):
                if labels[y, x] == 255:
                    continue
                exponents = np.exp(logits[:, y, x])
                probability = exponents[name] / exponents.sum()
                truth = float(labels[y, x] == name)
                common += probability * truth
                union += probability + truth - probability * truth
        losses.append(1 - (common + 1e-6) / (union + 1e-6))
    return float(np.mean(losses))


@pytest.fixture
def case() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    logits = random.normal(size=(2, 4, 5, 6)) * 2
    labels = random.integers(0, 3, size=(2, 5, 6))
    labels[0, 0, :3] = 255
    labels[1][labels[1] == 2] = 0
    return logits, labels


@pytest.mark.parametrize("kept", [1.0, 0.5, 0.15])
def test_cross_entropy_averages_the_hardest_pixels(case: tuple[np.ndarray, np.ndarray], kept: float) -> None:
    logits, labels = case
    expected = []
    for sample, label in zip(logits, labels, strict=True):
        hardest = sorted(cross_entropies(sample, label), reverse=True)[: int(30 * kept)]
        expected.append(sum(hardest) / len(hardest))
    found = hard_cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), kept=kept)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-9)


def test_jaccard_loss_counts_the_classes_of_the_label(case: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = case
    expected = np.mean([jaccard(sample, label) for sample, label in zip(logits, labels, strict=True)])
    assert float(jaccard_loss(torch.from_numpy(logits), torch.from_numpy(labels))) == pytest.approx(expected, rel=1e-9)


def test_identities_that_are_not_in_use_do_not_count(case: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = case
    counts = [2, 1]
    parts = []
    for sample, label, count in zip(logits, labels, counts, strict=True):
        used = sample[: count + 1]
        hardest = sorted(cross_entropies(used, label), reverse=True)[:15]
        parts.append(0.5 * sum(hardest) / 15 + 0.5 * jaccard(used, label))
    found = frame_loss(torch.from_numpy(logits), torch.from_numpy(labels), torch.tensor(counts), kept=0.5)
    assert float(found) == pytest.approx(np.mean(parts), rel=1e-5)


def test_a_frame_of_background_alone_has_a_finite_loss() -> None:
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = frame_loss(logits, labels, torch.tensor([1]), kept=0.15)
    loss.backward()
    assert bool(loss.isfinite())
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
