"""Preparing data: files of known content come out on the same clock, and every input has its line."""

import io
import json
import tarfile
from fractions import Fraction

import numpy as np
import pytest
import webdataset

from synchformer.config import MINI
from synchformer.media.decode import read_media
from synchformer.media.probe import probe
from tests.support.media import MediaSpec, click_in, number_in, write
from training import prepare
from training.datasets.manifest import Manifest
from training.datasets.registry import open_source
from training.datasets.shards import pack, scan
from training.datasets.source import Place, read_crop
from training.runtime.processes import in_order

COLORS = {"size": (288, 512), "video": "mpeg4", "audio": "mp3", "rate": 44_100, "layout": "stereo"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A film longer than a chunk at 30 fps, a file that is fine already, a broken one, and no video at all."""
    root = tmp_path_factory.mktemp("prepare")
    raw = root / "raw"
    (raw / "clap").mkdir(parents=True)
    write(raw / "clap" / "film_0_1.mkv", MediaSpec(seconds=3.3, fps=Fraction(30), click=2.7, **COLORS))
    write(raw / "fine.mp4", MediaSpec(seconds=1.0, size=(256, 340), click=0.5))
    (raw / "broken.mp4").write_bytes(b"nothing")
    (raw / "notes.txt").write_text("x")
    return raw, root / "out"


@pytest.fixture(scope="module")
def ran(prepared):
    raw, out = prepared
    chunk, prepare.CHUNK = prepare.CHUNK, 1.0
    status = prepare.main([str(raw), str(out), "--workers", "0"])
    prepare.CHUNK = chunk
    return raw, out, status


def test_every_input_has_its_line(ran):
    raw, out, status = ran
    entries = Manifest(out / "manifest.jsonl").entries
    assert {name: entry.outcome for name, entry in entries.items()} == {
        "clap/film_0_1": "encoded",
        "fine": "copied",
        "broken": "failed",
        "notes": "left out",
    }
    assert status == 1, "a failed input shows in the exit status"
    assert "not a media file" in entries["broken"].reason
    assert not (out / "broken.mp4").exists()
    assert (out / "fine.mp4").read_bytes() == (raw / "fine.mp4").read_bytes()
    assert entries["clap/film_0_1"].labels == ("clap",)
    assert entries["clap/film_0_1"].seconds == pytest.approx(3.3, abs=0.05)


def test_encoded_file_has_the_published_form_and_the_same_clock(ran):
    raw, out, _ = ran
    info = probe(out / "clap" / "film_0_1.mp4")
    assert (info.fps, info.height, info.width % 2, info.sample_rate, info.channels) == (25, 256, 0, 16_000, 1)
    assert (info.video.codec, info.audio.codec) == ("h264", "aac")
    before, after = (read_media(path, short_side=256) for path in (raw / "clap/film_0_1.mkv", out / info.path))
    numbers = [[number_in(frame.numpy()) for frame in media.video] for media in (before, after)]
    assert numbers[0][: len(numbers[1])] == numbers[1]
    assert len(numbers[1]) >= 81
    assert click_in(after.audio.numpy(), 16_000) == pytest.approx(click_in(before.audio.numpy(), 16_000), abs=0.001)


def test_second_run_does_only_what_is_missing(ran, capsys):
    raw, out, _ = ran
    kept = (out / "clap" / "film_0_1.mp4").stat().st_mtime_ns
    capsys.readouterr()
    prepare.main([str(raw), str(out), "--workers", "0"])
    assert "nothing had to be encoded" in capsys.readouterr().out
    assert (out / "clap" / "film_0_1.mp4").stat().st_mtime_ns == kept
    source = open_source(f"folder:{raw}")
    manifest = Manifest(out / "manifest.jsonl")
    jobs = prepare.jobs_of(source, out, prepare.Encoding())
    assert [job.sample.id for job in jobs if not prepare.is_done(job, manifest)] == ["broken"]
    finer = prepare.jobs_of(source, out, prepare.Encoding(crf=10))
    assert not any(prepare.is_done(job, manifest) for job in finer)


def test_half_written_line_is_dropped(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"id": "a", "outcome": "copied"}\n{"id": "b", "outc')
    manifest = Manifest(path)
    assert list(manifest.entries) == ["a"]
    manifest.add(manifest.entries["a"])
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["a", "a"]
    path.write_text('nonsense\n{"id": "a", "outcome": "copied"}\n')
    with pytest.raises(ValueError, match="damaged in line 1"):
        Manifest(path)


@pytest.mark.parametrize(("extra", "said"), [(["--part", "3/2"], "--part must be"), ([], "lies inside")])
def test_wrong_usage(prepared, extra, said, capsys):
    raw, _ = prepared
    with pytest.raises(SystemExit):
        prepare.main([str(raw), str(raw / "out"), *extra])
    assert said in capsys.readouterr().err


def test_processes_keep_the_order():
    assert list(in_order(abs, range(-3, 3), workers=1)) == [(item, abs(item)) for item in range(-3, 3)]


def test_shards_hold_what_the_folder_holds(ran):
    _, out, _ = ran
    assert pack(out, 1).startswith("2 shards written, 0 kept")
    assert pack(out, 1).startswith("0 shards written, 2 kept")
    source = open_source(f"shards:{out}/*.tar")
    sample = next(sample for sample in source.members if sample.id == "clap/film_0_1")
    assert (sample.group, sample.labels, sample.path) == ("clap/film", ("clap",), None)
    direct = read_media(out / "clap/film_0_1.mp4", 0.2, 1.4, short_side=MINI.short_side)
    inside = source.read(sample, MINI, 0.2, 1.4)
    assert np.array_equal(direct.video, inside.video)
    assert np.array_equal(direct.audio, inside.audio)
    assert source.info(sample).seconds == pytest.approx(3.3, abs=0.05)
    assert {str(source.info(sample).path), str(inside.info.path)} == {"clap/film_0_1"}
    packed = [
        sample for path in sorted(out.glob("*.tar")) for sample in webdataset.WebDataset(str(path), shardshuffle=False)
    ]
    assert {json.loads(each["json"])["id"] for each in packed} == {"clap/film_0_1", "fine"}
    assert {len(each["mp4"]) for each in packed} == {member.size for member in source.members.values()}


def test_shards_of_others(tmp_path):
    """No JSON, another suffix, a sample without a video: names tell the rest."""
    video = write(
        tmp_path / "x.webm", MediaSpec(seconds=8.0, video="libvpx", audio="libopus", rate=48_000, size=(110, 120))
    )
    with tarfile.open(tmp_path / "val-000.tar", "w") as archive:
        archive.add(video, "AAAAAAAAAAA_0_8000.webm")
        archive.add(__file__, "other.txt")
    source = open_source(f"shards:{tmp_path}/val-{{000..000}}.tar")
    (sample,) = source.samples("valid")
    assert (sample.id, sample.group) == ("AAAAAAAAAAA_0_8000", "AAAAAAAAAAA")
    assert source.left_out[0].reason == "no video in the sample"
    assert read_crop(source, sample, Place(0.5, 0.2), MINI).video.shape == (125, 3, 96, 96)
    (tmp_path / "bad.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(ValueError, match="no whole WebDataset shard"):
        list(scan(tmp_path / "bad.tar"))
    with pytest.raises(ValueError, match="there is no shard"):
        open_source(f"shards:{tmp_path}/missing.tar")


NAMES = ("Track 2.0 (Clean).mp4", "Track 2.0 (Clean).json", "a.video.mp4", "sub.v1/b.MP4", "c.front.mp4", "c.back.mp4",
         "__skipped__/d.mp4", ".hidden.mp4", "e.txt", "f.mp4", "f.json")  # fmt: skip


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A shard whose names have dots everywhere."""
    folder = tmp_path_factory.mktemp("foreign")
    video = write(folder / "x.mp4", MediaSpec(seconds=1.0, click=0.5)).read_bytes()
    contents = {name: b'{"label": "x"}' if name.endswith("json") else video for name in NAMES} | {"f.json": b"no JSON"}
    with tarfile.open(folder / "train-0.tar", "w") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return folder


def test_names_in_shards_are_read_as_webdataset_reads_them(foreign):
    source = open_source(f"shards:{foreign}/train-0.tar")
    shard = webdataset.WebDataset(str(foreign / "train-0.tar"), shardshuffle=False)
    theirs = {sample["__key__"]: [name for name in sample if name.lower().endswith("mp4")] for sample in shard}
    ours = {sample.id for sample in source.members}
    assert ours == {key for key, videos in theirs.items() if videos}
    assert {item.id.partition(" (")[0]: item.reason for item in source.left_out} == {
        "c": "a further video of the sample, whose key ends at the first dot of the name",
        "e": "no video in the sample",
    }
    assert {sample.labels for sample in source.members if sample.id == "Track 2"} == {("x",)}
    assert all(source.info(sample).seconds == pytest.approx(1.0, abs=0.1) for sample in source.members)


@pytest.mark.parametrize(("suffix", "mode"), [(".gz", "w:gz"), (".bz2", "w:bz2"), (".xz", "w:xz")])
def test_compressed_shards_open(foreign, tmp_path, monkeypatch, suffix, mode):
    monkeypatch.setattr("training.datasets.shards.cache_folder", lambda: tmp_path / "cache")
    packed = tmp_path / f"train-0.tar{suffix}"
    with tarfile.open(foreign / "train-0.tar") as plain, tarfile.open(packed, mode) as archive:
        for member in plain:
            archive.addfile(member, plain.extractfile(member))
    plain, source = open_source(f"shards:{foreign}/train-0.tar"), open_source(f"shards:{packed}")
    assert [sample.id for sample in source.members] == [sample.id for sample in plain.members]
    sample = next(iter(source.members))
    assert np.array_equal(source.read(sample, MINI).video, plain.read(sample, MINI).video)
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"cannot be decompressed \(.*write it anew"):
        open_source(f"shards:{packed}")
