"""Which files are videos: one list, whoever asks."""

import ast
from pathlib import Path

import pytest

from synchformer.storage.video_files import VIDEO_SUFFIXES, find_videos, is_video
from tests.support.paths import ROOT
from training.datasets.folders import open_folder

OWNER = Path("synchformer/storage/video_files.py")
PACKAGES = ("attribution", "benchmarks", "interface", "synchformer", "synthetic", "training")


def suffix_lists(path: Path) -> list[int]:
    """Lines at which a list, tuple or set names two suffixes of videos or more."""
    lists = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.List | ast.Tuple | ast.Set)]
    return [
        node.lineno
        for node in lists
        if sum(isinstance(each, ast.Constant) and each.value in VIDEO_SUFFIXES for each in node.elts) >= 2
    ]


def test_no_other_module_lists_suffixes():
    modules = {
        path.relative_to(ROOT): suffix_lists(path) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }
    assert [path for path, lines in modules.items() if lines] == [OWNER]


def test_every_suffix_is_a_video_for_data_sets_too(tmp_path):
    for suffix in VIDEO_SUFFIXES:
        (tmp_path / f"clip{suffix[1:]}{suffix.upper()}").touch()
    (tmp_path / "notes.txt").touch()
    source = open_folder(tmp_path)
    assert len(source.samples("train") + source.samples("valid") + source.samples("test")) == len(VIDEO_SUFFIXES)
    assert [each.id for each in source.left_out] == ["notes"]
    assert is_video(Path("a.MXF"))
    assert not is_video(Path("mp4"))


def test_videos_of_a_folder(tmp_path):
    for name in ("b.mp4", "a.MXF", "sound.wav", ".hidden.mp4", "below/c.mkv", "folder.mp4/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_videos(tmp_path) == ([tmp_path / "a.MXF", tmp_path / "b.mp4"], [tmp_path / "sound.wav"])
    videos, others = find_videos(tmp_path, recursive=True)
    assert [path.name for path in videos] == ["a.MXF", "b.mp4", "c.mkv"]
    assert [path.name for path in others] == ["d.txt", "sound.wav"]
    with pytest.raises(ValueError, match="is no folder; give a folder with video files"):
        find_videos(tmp_path / "nowhere")
