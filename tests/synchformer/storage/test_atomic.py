"""Files appear whole or not at all."""

import pytest

from synchformer.storage.atomic import atomic_write


def test_a_finished_file_has_its_name_and_the_usual_rights(tmp_path):
    usual = tmp_path / "usual"
    usual.write_text("")
    with atomic_write(tmp_path / "a.txt") as part:
        part.unlink()
        part.touch(mode=0o600)  # as libraries do that are careful with rights
        part.write_text("whole")
        assert part.suffix == ".txt"
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert (tmp_path / "a.txt").stat().st_mode == usual.stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == {"usual", "a.txt"}


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


@pytest.mark.parametrize(
    "name", ["a" * 251 + ".mp4", "\N{SNOWMAN}" * 83 + ".mp4", "a." + "b" * 253, "2025-01-01T10:00:00.mp4"]
)
def test_any_name_that_the_file_system_takes_can_be_written(tmp_path, name):
    with atomic_write(tmp_path / name) as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
