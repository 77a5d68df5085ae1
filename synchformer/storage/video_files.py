"""Which files are videos, by their suffix: the one list that the commands, data sets and the page go by."""

from __future__ import annotations

from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".qt", ".f4v", ".3gp", ".3g2", ".mkv", ".mk3d", ".webm", ".avi", ".divx", ".ts", ".tp",
     ".trp", ".m2ts", ".mts", ".mpg", ".mpeg", ".mpe", ".vob", ".flv", ".wmv", ".asf", ".ogv", ".ogm", ".mxf", ".gxf",
     ".dv", ".wtv", ".rm", ".rmvb", ".nut")
)  # fmt: skip


def is_video(path: Path) -> bool:
    """Whether a file's suffix is that of a video, in capitals or not; the file is not opened."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def find_videos(folder: str | Path, recursive: bool = False) -> tuple[list[Path], list[Path]]:
    """Video files of a folder in order of name, and its other files; hidden files are passed over.

    Args:
        folder: where to look.
        recursive: look into its subfolders too.

    Raises:
        ValueError: when there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give a folder with video files")
    files = sorted(path for path in (folder.rglob("*") if recursive else folder.iterdir()) if path.is_file())
    visible = [path for path in files if not path.name.startswith(".")]
    return [path for path in visible if is_video(path)], [path for path in visible if not is_video(path)]
