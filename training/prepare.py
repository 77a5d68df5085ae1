"""Bring a data set into the form that training reads fastest: 25 fps, short side 256, 16 kHz mono, H.264 and AAC.

python -m training.prepare videos prepared                       # every video of a folder
python -m training.prepare vggsound:raw prepared --annotations lists --workers 16
python -m training.prepare vggsound:raw prepared --annotations lists --part 2/8    # one of eight machines
python -m training.prepare videos prepared --shards 1000         # and pack them, a thousand clips a shard

Every input gets a line in `manifest.jsonl` that says what became of it. A second run goes on where the first stopped,
and does again only what failed, changed, or is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from synchformer.cli.terminal import command
from synchformer.errors import sentence_of
from synchformer.media.decode import read_media
from synchformer.media.probe import MediaError, MediaInfo, probe
from synchformer.storage.atomic import atomic_write
from synchformer.storage.file_names import printable
from synthetic.write import Part, write_parts
from training.config.command_options import add_annotations, add_workers
from training.datasets.manifest import Entry, Manifest
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import SPLITS, LeftOut, Sample, Source
from training.runtime.processes import in_order

CHUNK = 20.0  # s decoded at a time, so that a film needs no more memory than a clip
STILL = 0.002  # s by which a stream may begin late in a file that is copied as it is


@dataclass(frozen=True)
class Encoding:
    """What every prepared file is: the published form by default (section 5)."""

    short_side: int = 256
    crf: int = 20
    fps: int = 25
    sample_rate: int = 16_000


@dataclass(frozen=True)
class Job:
    """One input file to prepare."""

    sample: Sample
    path: Path
    folder: Path
    encoding: Encoding

    @property
    def output(self) -> Path:
        """Where the prepared file goes: the id as a path, always MP4."""
        return self.folder / f"{self.sample.id}.mp4"

    def entry(self) -> Entry:
        """What is known before anything was done."""
        fixed = self.sample.fixed
        try:
            state = self.path.stat()
            size, changed = state.st_size, state.st_mtime_ns
        except OSError:  # it vanished after it was listed: preparing it says so
            size, changed = 0, 0
        return Entry(
            id=self.sample.id,
            outcome="failed",
            input=printable(self.path),
            input_bytes=size,
            input_time=changed,
            settings=repr(self.encoding),
            output=self.output.relative_to(self.folder).as_posix(),
            split=self.sample.split,
            group=self.sample.group,
            labels=self.sample.labels,
            start=fixed.start if fixed else None,
            offset=fixed.offset if fixed else None,
        )


def prepare(job: Job) -> Entry:
    """Prepare one file; whatever goes wrong with it stands in the entry."""
    entry, started = job.entry(), time.process_time()
    try:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        info = probe(job.path)
        with atomic_write(job.output) as part:
            if is_prepared(info, job.encoding):
                shutil.copyfile(job.path, part)
                done = replace(entry, outcome="copied")
            else:
                done = replace(entry, outcome="encoded", reason=" ".join(_encode(job, info, part)))
            seconds = min(span.stop for span in (probe(part).video, probe(part).audio))
    except (ValueError, OSError, MemoryError) as error:
        return replace(entry, reason=sentence_of(error), output="", cpu_seconds=time.process_time() - started)
    return replace(done, seconds=round(seconds, 3), cpu_seconds=round(time.process_time() - started, 3))


def is_prepared(info: MediaInfo, encoding: Encoding) -> bool:
    """Whether a file has the wanted form already, so that encoding again would only lose quality."""
    wanted = (".mp4", "h264", "aac", float(encoding.fps), encoding.short_side, encoding.sample_rate, 1)
    actual = (
        info.path.suffix.lower(),
        info.video.codec,
        info.audio.codec,
        info.fps,
        min(info.width, info.height),
        info.sample_rate,
        info.channels,
    )
    return actual == wanted and max(info.video.start, info.audio.start) < STILL


def _encode(job: Job, info: MediaInfo, out: Path) -> list[str]:
    """Encode what both streams share; returns notes about damage.

    Raises:
        MediaError: when nothing of it can be decoded.
    """
    notes: list[str] = []
    parts = _parts(job, min(info.video.stop, info.audio.stop), notes)
    first = next(parts, None)
    if first is None:
        raise MediaError(f"{info.path.name} holds no moment that has both picture and sound; record it anew")

    def all_parts() -> Iterator[Part]:
        yield first
        yield from parts

    height, width = first[0].shape[1:3]
    write_parts(all_parts(), out, (height, width), job.encoding.crf)
    return notes


def _parts(job: Job, end: float, notes: list[str]) -> Iterator[Part]:
    """Frames with even sides, and the samples of exactly their time, a chunk after the other."""
    encoding, begin = job.encoding, 0.0
    per_frame = encoding.sample_rate // encoding.fps
    while begin < end - 0.5 / encoding.fps:
        stop = min(begin + CHUNK, end)
        media = read_media(
            job.path,
            begin,
            stop,
            short_side=encoding.short_side,
            video_fps=encoding.fps,
            sample_rate=encoding.sample_rate,
        )
        notes += [note for note in media.notes if note not in notes]
        count = min(len(media.video), len(media.audio) // per_frame)
        if not count:
            return
        height, width = (side // 2 * 2 for side in media.video.shape[2:])
        frames = media.video[:count, :, :height, :width].permute(0, 2, 3, 1).contiguous().numpy()
        yield frames, media.audio[: count * per_frame].numpy()
        begin = stop


def jobs_of(source: Source, folder: Path, encoding: Encoding) -> list[Job]:
    """A job for every sample of the source, whether it is done or not.

    Raises:
        ValueError: when the source's clips are no files, or the outputs would lie among the inputs.
    """
    jobs = []
    for split in SPLITS:
        for sample in source.samples(split):
            if sample.path is None:
                raise ValueError(f"{source.name} has no files to prepare; give a folder or a data set on disk")
            jobs.append(Job(sample, sample.path, folder, encoding))
    place = Path(source.name.partition(":")[2]).resolve()
    if folder.resolve().is_relative_to(place):
        raise ValueError(f"{folder} lies inside {place}, where a second run would find its own outputs; choose another")
    return jobs


def is_done(job: Job, manifest: Manifest) -> bool:
    """Whether the manifest knows a job as done, and neither its input nor its settings have changed since."""
    known, now = manifest.entries.get(job.sample.id), job.entry()
    same = known is not None and (known.input_bytes, known.input_time, known.settings) == (
        now.input_bytes,
        now.input_time,
        now.settings,
    )
    return same and known is not None and known.outcome in ("encoded", "copied") and job.output.is_file()


def run(jobs: list[Job], manifest: Manifest, workers: int) -> str:
    """Prepare files in processes and keep the manifest; returns a sentence with the throughput."""
    started, cpu, clips = time.perf_counter(), 0.0, 0
    done = in_order(prepare, jobs, workers)
    for _, entry in tqdm(done, "prepare", total=len(jobs), mininterval=2):
        manifest.add(entry)
        if entry.outcome == "encoded":
            cpu, clips = cpu + entry.cpu_seconds, clips + 1
    wall = time.perf_counter() - started
    if not clips:
        return "nothing had to be encoded"
    return (
        f"{clips} clips encoded in {wall:.1f} s: {clips / wall:.2f} clips per second with {workers} processes, "
        f"{clips / max(cpu, 1e-9):.2f} clips per second of a core"
    )


@command
def main(argv: list[str] | None = None) -> int:
    """Prepare a data set; exit status 1 when an input failed, 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training.prepare", description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a folder, or a data set such as vggsound:DIR")
    parser.add_argument("folder", type=Path, help="where the prepared files and the manifest go")
    add_annotations(parser)
    add_workers(parser, default=os.cpu_count() or 1)
    parser.add_argument("--short-side", type=int, default=256, help="pixels (default 256)")
    parser.add_argument("--crf", type=int, default=20, help="H.264 quality, smaller is better (default 20)")
    parser.add_argument("--part", default="1/1", help="I/N: do every N-th file from the I-th on (default 1/1)")
    parser.add_argument("--shards", type=int, metavar="CLIPS", help="then pack shards of this many clips")
    arguments = parser.parse_args(argv)
    index, _, count = arguments.part.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        parser.error(f"--part must be I/N with 1 <= I <= N, not {arguments.part!r}")
    name = arguments.source if ":" in arguments.source else f"folder:{arguments.source}"
    try:
        return _main(name, arguments, int(index), int(count))
    except ValueError as error:
        parser.error(sentence_of(error))


def _main(name: str, arguments: argparse.Namespace, index: int, count: int) -> int:
    source = open_source(name, SourceOptions(annotations=arguments.annotations))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    suffix = "" if count == 1 else f"-{index:03d}-of-{count:03d}"
    manifest = Manifest(arguments.folder / f"manifest{suffix}.jsonl")
    encoding = Encoding(arguments.short_side, arguments.crf)
    for item in source.left_out[index - 1 :: count]:
        _leave_out(item, manifest)
    jobs = jobs_of(source, arguments.folder, encoding)[index - 1 :: count]
    print(run([job for job in jobs if not is_done(job, manifest)], manifest, arguments.workers))
    if arguments.shards:
        from training.datasets.shards import pack

        print(pack(arguments.folder, arguments.shards))
    counts = manifest.counts()
    print(f"{manifest.path}: " + ", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
    return int("failed" in counts)


def _leave_out(item: LeftOut, manifest: Manifest) -> None:
    known = manifest.entries.get(item.id)
    if known is None or known.reason != item.reason:
        manifest.add(Entry(item.id, "left out", item.reason, split=item.split))


if __name__ == "__main__":
    sys.exit(main())
