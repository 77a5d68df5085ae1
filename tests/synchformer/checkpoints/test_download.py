"""Downloads against a server on this machine that breaks off, ignores ranges, lies, and stalls."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synchformer.checkpoints import download
from synchformer.checkpoints.download import DownloadError, cache_folder, fetch, verify
from tests.support.file_server import DATA, Behavior, serving

MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.005)
    monkeypatch.setattr(download, "CHUNK", 1 << 16)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "file.pt"


def part_of(target, content=None):
    part = target.with_name(target.name + ".part")
    if content is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
    return part


def check(target, behavior, asked):
    """The file is whole, nothing lies beside it but the lock, and the server was asked for exactly this."""
    assert target.read_bytes() == behavior.data
    assert {path.name for path in target.parent.iterdir()} <= {"file.pt", "file.pt.lock"}
    assert behavior.asked == asked


def other_process(url, target):
    """A process of its own that fetches the file."""
    code = (
        "import sys; from pathlib import Path; from synchformer.checkpoints.download import fetch; "
        "fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3])"
    )
    return subprocess.Popen([sys.executable, "-c", code, url, str(target), MD5], stderr=subprocess.PIPE)


class TestWhole:
    def test_first_time_and_second(self, target, capsys):
        behavior = Behavior()
        with serving(behavior) as url:
            assert fetch(url, target, MD5[:7]) == target
            shown = capsys.readouterr()
            assert "file.pt" in shown.err
            assert "512k" in shown.err
            assert not shown.out
            fetch(url, target, MD5)
        check(target, behavior, [None])

    def test_no_progress_when_not_wanted(self, target, capsys):
        with serving(Behavior()) as url:
            fetch(url, target, MD5, progress=False)
        assert not capsys.readouterr().err

    def test_a_file_put_by_hand_is_checked_and_needs_no_server(self, target):
        target.parent.mkdir()
        target.write_bytes(DATA)
        assert fetch("http://127.0.0.1:9/none", target, MD5[:7]).read_bytes() == DATA
        target.write_bytes(b"something else")
        with pytest.raises(DownloadError) as caught:
            fetch("http://127.0.0.1:9/none", target, MD5[:7])
        for word in (str(target), MD5[:7], hashlib.md5(b"something else").hexdigest(), "delete it"):
            assert word in str(caught.value)
        assert target.read_bytes() == b"something else", "what a person put there is theirs to delete"


class TestInterrupted:
    def test_goes_on_where_it_broke_off(self, target):
        behavior = Behavior(break_after=[100_000, 150_000])
        with serving(behavior) as url:
            fetch(url, target, MD5)
        check(target, behavior, [None, "bytes=100000-", "bytes=250000-"])

    def test_many_breaks_are_no_failure_while_something_arrives(self, target):
        behavior = Behavior(break_after=[66_000] * 7)
        assert len(behavior.break_after) > download.TRIES
        with serving(behavior) as url:
            fetch(url, target, MD5)
        assert target.read_bytes() == DATA

    def test_goes_on_after_the_process_was_killed(self, target):
        behavior = Behavior(pause=0.05, block=20_000)
        with serving(behavior) as url:
            process = other_process(url, target)
            deadline = time.monotonic() + 60
            while not (part_of(target).exists() and part_of(target).stat().st_size):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.kill()
            process.wait()
            assert not target.exists()
            have = part_of(target).stat().st_size
            behavior.pause = 0.0
            fetch(url, target, MD5)
        check(target, behavior, [None, f"bytes={have}-"])

    def test_server_without_ranges(self, target):
        behavior = Behavior(ranges=False, break_after=[100_000])
        with serving(behavior) as url:
            fetch(url, target, MD5)
        check(target, behavior, [None, "bytes=100000-"])

    def test_server_without_ranges_that_always_breaks(self, target):
        behavior = Behavior(ranges=False, break_after=[100_000] * 50)
        with serving(behavior) as url, pytest.raises(DownloadError, match="broke off"):
            fetch(url, target, MD5)
        assert download.TRIES <= len(behavior.asked) <= download.TRIES + 1
        assert not target.exists()

    def test_part_of_another_file(self, target):
        part_of(target, b"x" * 1000)
        behavior = Behavior()
        with serving(behavior) as url:
            fetch(url, target, MD5)
        check(target, behavior, ["bytes=1000-", None])

    def test_part_longer_than_the_file(self, target):
        part_of(target, DATA + b"more")
        behavior = Behavior()
        with serving(behavior) as url:
            fetch(url, target, MD5)
        check(target, behavior, [f"bytes={len(DATA) + 4}-", None])

    def test_part_that_is_whole_already(self, target):
        """Stopped between the last byte and the move: nothing is sent again."""
        part_of(target, DATA)
        behavior = Behavior()
        with serving(behavior) as url:
            fetch(url, target, MD5)
        check(target, behavior, [f"bytes={len(DATA)}-"])

    def test_wrong_range_is_not_appended(self, target):
        part_of(target, DATA[:1000])
        with serving(Behavior(shift=10)) as url, pytest.raises(DownloadError, match="another part"):
            fetch(url, target, MD5)
        assert part_of(target).read_bytes() == DATA[:1000]


class TestRefused:
    def test_wrong_hash(self, target):
        behavior = Behavior(data=b"not what was asked for")
        with serving(behavior) as url, pytest.raises(DownloadError) as caught:
            fetch(url, target, MD5[:7])
        for word in (url, MD5[:7], hashlib.md5(behavior.data).hexdigest()):
            assert word in str(caught.value)
        assert not target.exists()
        assert not part_of(target).exists()
        assert behavior.asked == [None]

    def test_missing_on_the_server(self, target):
        behavior = Behavior(status=[404])
        with serving(behavior) as url, pytest.raises(DownloadError, match="404"):
            fetch(url, target, MD5)
        assert behavior.asked == [None], "a file that is not there needs no second attempt"

    def test_busy_server(self, target):
        behavior = Behavior(status=[503, 429])
        with serving(behavior) as url:
            fetch(url, target, MD5)
        check(target, behavior, [None, None, None])

    def test_server_that_stays_busy(self, target):
        behavior = Behavior(status=[503] * 50)
        with serving(behavior) as url, pytest.raises(DownloadError, match="503"):
            fetch(url, target, MD5)
        assert len(behavior.asked) == download.TRIES

    def test_no_server(self, target):
        with pytest.raises(DownloadError, match="could not be reached") as caught:
            fetch("http://127.0.0.1:9/file.pt", target, MD5)
        assert "http://127.0.0.1:9/file.pt" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_stalled_server(self, target, monkeypatch):
        """A server that sends a few bytes now and then does not hold us forever."""
        monkeypatch.setattr(download, "TIMEOUT", 0.1)
        monkeypatch.setattr(download, "TRIES", 2)
        with serving(Behavior(block=10, pause=0.5)) as url, pytest.raises(DownloadError, match="timed out"):
            fetch(url, target, MD5)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
    def test_full_disk(self, target):
        target.parent.mkdir()
        part_of(target).symlink_to("/dev/full")
        behavior = Behavior()
        with serving(behavior) as url, pytest.raises(DownloadError, match=r"No space left.*free some space"):
            fetch(url, target, MD5)
        assert behavior.asked == [None], "a full disk needs no second attempt"

    def test_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(DownloadError, match=r"cannot write.*XDG_CACHE_HOME"):
            fetch("http://127.0.0.1:9/file.pt", tmp_path / "file" / "file.pt", MD5)


def test_two_processes_at_once(target):
    """Both end with the whole file, and one of them downloaded it."""
    behavior = Behavior(pause=0.2)
    with serving(behavior) as url:
        processes = [other_process(url, target) for _ in range(2)]
        errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    check(target, behavior, [None])


def test_verify_reads_the_whole_file(tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    verify(tmp_path / "file", MD5)
    verify(tmp_path / "file", "")
    (tmp_path / "file").write_bytes(DATA[:-1] + b"x")
    with pytest.raises(DownloadError, match=MD5):
        verify(tmp_path / "file", MD5)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"XDG_CACHE_HOME": "/a", "HF_HOME": "/b"}, "/a/synchformer"),
        ({"HF_HOME": "/b"}, "/b/synchformer"),
        ({"XDG_CACHE_HOME": "", "HF_HOME": ""}, "/home/me/.cache/synchformer"),
        ({"HF_HOME": "~/models"}, "/home/me/models/synchformer"),
    ],
)
def test_cache_folder(monkeypatch, variables, expected):
    for name in ("XDG_CACHE_HOME", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (variables | {"HOME": "/home/me"}).items():
        monkeypatch.setenv(name, value)
    assert os.fspath(cache_folder()) == expected
