"""Long videos in overlapping windows: which frames each window has."""

from __future__ import annotations

from rvos.errors import ConfigError
from rvos.settings import count


def plan_windows(n_frames: int, window: int | None, overlap: int = 0) -> tuple[range, ...]:
    """Return the frames of each window; one window where the whole video fits.

    Args:
        window: frames of a window; None: the whole video, the official protocol.
        overlap: frames that neighbouring windows share, less than `window`.

    Raises:
        ConfigError: a window without frames, or an overlap that leaves nothing new.
    """
    if window is None:
        if overlap:
            raise ConfigError(f"overlap {overlap} without a window; set window or drop overlap")
        return (range(n_frames),)
    if window < 1 or not 0 <= overlap < window:
        raise ConfigError(f"window {window} with overlap {overlap}; give window >= 1 and 0 <= overlap < window")
    starts = range(0, max(n_frames - overlap, 1), window - overlap)
    return tuple(range(start, min(start + window, n_frames)) for start in starts)


def describe_protocol(n_frames: int, window: int | None, overlap: int = 0) -> str:
    """Return which protocol a video of `n_frames` runs under, for logs and records."""
    n_windows = len(plan_windows(n_frames, window, overlap))
    if n_windows == 1:
        return f"all {count(n_frames, 'frame')} in one clip"
    return f"{n_windows} {describe_setting(window, overlap)}"


def describe_setting(window: int | None, overlap: int = 0, *, join: str = "mean") -> str:
    """Return the protocol that the settings ask for, whatever the length of a video."""
    if window is None:
        return "official: all frames of a video at once"
    followed = ", one object is followed through them" if join == "identity" else ""
    return f"windows of at most {window} frames, neighbours share {overlap}{followed}"
