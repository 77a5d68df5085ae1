"""Published weights by name: fetched from a server on this machine, checked, converted once, and read from then on."""

import threading

import pytest

from synchformer.checkpoints import download, registry
from synchformer.checkpoints.download import DownloadError
from synchformer.checkpoints.registry import Source, load_avclip, load_model, read_notes
from synchformer.checkpoints.safe_tensors import CheckpointError
from tests.support.file_server import Behavior, serving
from tests.support.published import (
    TINY,
    assert_same_model,
    known_as,
    published_state,
    save_with_settings,
    source_of,
    tiny_model,
)

TINY_PAIR = TINY.with_head("synchronizability")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0.005)
    return tmp_path / "cache" / "synchformer"


def file_bytes(tmp_path, model, layout):
    path = save_with_settings(tmp_path / "original.pt", layout, published_state(model))
    content = path.read_bytes()
    path.unlink()
    return content


NOWHERE = "http://127.0.0.1:9/file.pt"


class TestDownloaded:
    @pytest.mark.parametrize(
        ("name", "kind", "config", "layout"),
        [
            ("audioset", "Synchformer", TINY, "stage II"),
            ("synchronizability", "Synchformer", TINY_PAIR, "stage II"),
            ("avclip-vggsound", "SegmentAVCLIP", TINY, "stage I"),
        ],
    )
    def test_converted_once(self, tmp_path, cache, monkeypatch, name, kind, config, layout):
        model = tiny_model(getattr(registry, kind), config)
        content = file_bytes(tmp_path, model, layout)
        load = load_avclip if layout == "stage I" else load_model
        behavior = Behavior(data=content)
        with serving(behavior) as url:
            entry = known_as(monkeypatch, name, config, source_of(url, content))
            assert_same_model(load(name, "cpu"), model)
        assert behavior.asked == [None]
        kept = [path.name for path in cache.iterdir() if path.suffix != ".lock"]
        assert kept == [f"{name}-{entry.run}.safetensors"], "the original is removed, and nothing half-written stays"
        assert read_notes(cache / kept[0])["data"] == entry.data
        monkeypatch.setattr("synchformer.checkpoints.safe_tensors.InertUnpickler", None)  # no pickle is read again
        assert_same_model(load(name, "cpu"), model)

    def test_second_source(self, tmp_path, cache, monkeypatch):
        """The whole model again as tensors alone, when the published file is not to be had."""
        content = file_bytes(tmp_path, tiny_model(), "plain")
        with serving(Behavior(data=content)) as url, serving(Behavior(status=[404])) as gone:
            known_as(monkeypatch, "audioset", TINY, Source(gone, "0000000"), source_of(url + "h", content))
            assert_same_model(load_model("audioset", "cpu"), tiny_model())

    def test_no_network(self, cache, monkeypatch):
        entry = known_as(monkeypatch, "vggsound", TINY, Source(NOWHERE, "0000000"))
        with pytest.raises(DownloadError) as caught:
            load_model("vggsound")
        place = str(cache / f"vggsound-{entry.run}.pt")
        for word in (NOWHERE, "could not be reached", f"save {NOWHERE} as {place}", "'mini', which works offline"):
            assert word in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("index", [0, 1])
    def test_put_by_hand(self, tmp_path, cache, monkeypatch, index):
        content = file_bytes(tmp_path, tiny_model(), "stage II")
        entry = known_as(monkeypatch, "audioset", TINY, source_of(NOWHERE, content), source_of(NOWHERE + "h", content))
        place = entry.places(cache)[index]
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        assert_same_model(load_model("audioset", "cpu"), tiny_model())
        assert not place.exists()

    def test_wrong_file_put_by_hand(self, cache, monkeypatch):
        entry = known_as(monkeypatch, "lrs3", TINY, Source(NOWHERE, "1234567"))
        place = entry.places(cache)[0]
        place.parent.mkdir(parents=True)
        place.write_bytes(b"another file")
        with pytest.raises(DownloadError, match=r"starts with 1234567 was expected.*delete it"):
            load_model("lrs3")
        assert place.exists()

    def test_damaged_file_of_the_right_hash(self, cache, monkeypatch):
        content = b"an odd file, but the published one"
        with serving(Behavior(data=content)) as url:
            known_as(monkeypatch, "lrs3", TINY, source_of(url, content))
            with pytest.raises(CheckpointError, match="neither safetensors nor a whole PyTorch file"):
                load_model("lrs3")
        assert not list(cache.glob("*.safetensors*"))

    def test_cache_that_cannot_be_written(self, tmp_path, monkeypatch):
        (tmp_path / "cache").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        with pytest.raises(DownloadError, match=r"cannot write .*XDG_CACHE_HOME.*'mini'"):
            load_model("lrs3")

    def test_two_at_once(self, tmp_path, cache, monkeypatch):
        """One downloads and converts, the other waits for it."""
        content = file_bytes(tmp_path, tiny_model(), "stage II")
        behavior = Behavior(data=content, pause=0.02)
        found = []
        with serving(behavior) as url:
            known_as(monkeypatch, "lrs3", TINY, source_of(url, content))
            threads = [threading.Thread(target=lambda: found.append(load_model("lrs3", "cpu"))) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert behavior.asked == [None]
        assert len(found) == 3
        for model in found:
            assert_same_model(model, tiny_model())
