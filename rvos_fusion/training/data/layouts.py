"""Where the layouts of data sets keep their frames, masks and expressions: folders to labelled videos."""

from __future__ import annotations

from pathlib import Path

from rvos.errors import InputError
from rvos.files.names import find_named
from rvos.videos import Video
from rvos_fusion.training.data.sentences import open_labelled
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder


def open_videos(folder: VideoFolder, *, window: int | None = None) -> list[LabelledVideo]:
    """Return a split's labelled videos by name; `window`: frames around each annotated one, where single ones are.

    Raises:
        InputError: annotation files are missing or damaged, or there are no videos.
    """
    return open_labelled(folder, window=window) if folder.has_sentences else open_plain_videos(folder)


def open_plain_videos(folder: VideoFolder) -> list[LabelledVideo]:
    """Return a layout's videos without expressions, frames with masks, by name; InputError: no list or no videos."""
    listed: list[tuple[str, list[Path], list[Path]]]
    if folder.layout == "youtube-vos":
        pictures, masks = (folder.root / folder.split / part for part in ("JPEGImages", "Annotations"))
        listed = [_folders(path.name, pictures, masks) for path in _inside(masks)]
    elif folder.layout == "davis17":
        listing = folder.root / "ImageSets" / "2017" / f"{folder.split}.txt"
        try:
            names = sorted(listing.read_text(encoding="utf-8").split())
        except OSError as error:
            raise InputError(f"{listing}: cannot be read ({error.strerror}); check data.folders") from None
        pictures, masks = (folder.root / part / "480p" for part in ("JPEGImages", "Annotations"))
        listed = [_folders(name, pictures, masks) for name in names]
    else:  # every image is a video of one frame
        paths = [path for path in _inside(folder.root / "Annotations") if path.suffix.lower() == ".png"]
        listed = [(path.stem, [find_named(folder.root, f"JPEGImages/{path.stem}.jpg")], [path]) for path in paths]
    listed = listed[: folder.videos]
    if not listed:
        raise InputError(f"{folder.root}: no videos of layout {folder.layout}; check data.folders")
    return [
        LabelledVideo(
            Video(name, tuple(path.stem for path in labels), (), tuple(frames)), labels, in_memory=folder.in_memory
        )
        for name, frames, labels in listed
    ]


def _folders(name: str, pictures: Path, masks: Path) -> tuple[str, list[Path], list[Path]]:
    found = [path for path in _inside(find_named(masks, name)) if path.suffix.lower() == ".png"]
    if not found:
        raise InputError(f"{masks / name}: no masks; restore them or drop the video")
    return name, [find_named(pictures, f"{name}/{path.stem}.jpg") for path in found], found


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check data.folders") from None
