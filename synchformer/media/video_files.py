"""Which files of a folder are videos."""

from __future__ import annotations

from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp",
     ".ogv", ".mxf")
)  # fmt: skip


def find_files(folder: str | Path, recursive: bool = False) -> tuple[list[Path], list[Path]]:
    """Video files below a folder in order of name, and the other files that are no videos by their suffix.

    Raises:
        ValueError: when there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give a folder with video files")
    found = sorted(path for path in (folder.rglob("*") if recursive else folder.iterdir()) if path.is_file())
    visible = [path for path in found if not path.name.startswith(".")]
    videos = [path for path in visible if path.suffix.lower() in VIDEO_SUFFIXES]
    return videos, [path for path in visible if path.suffix.lower() not in VIDEO_SUFFIXES]
