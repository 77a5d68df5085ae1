"""How well stage I's features find the same moment in both streams: shifted-window precision.

python -m training.evaluation.segments avclip-audioset --data vggsound:/data/vggsound --annotations lists
python -m training.evaluation.segments runs/mini/avclip.safetensors --count 100 --out results/segments.json

A clip's 14 segments without overlap give 7 windows of 8; each window of one stream is matched with the most similar one
of the other (both directions). The published stage I checkpoint is the one with the best precision.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from synchformer.checkpoints.registry import load_avclip
from synchformer.cli.options import add_device
from synchformer.cli.terminal import command
from synchformer.config import SynchformerConfig
from synchformer.errors import sentence_of
from synchformer.media.crop import center_crop
from synchformer.media.preprocess import mel_spectrogram, normalize_frames
from synchformer.media.probe import Media
from synchformer.modeling.segment_avclip import WINDOW_SEGMENTS, SegmentAVCLIP, window_precision
from synchformer.stats.bootstrap import mean_of
from synchformer.storage.atomic import write_json
from synchformer.storage.csv_rows import write_csv
from synchformer.storage.json_text import undefined_as_none
from synthetic import SEEDS
from training.config.command_options import add_data, add_seed, add_split, add_workers
from training.datasets.generated import GeneratedSource
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import LeftOut, Sample, Source, count_reasons
from training.datasets.validation import spread
from training.evaluation.report import percent
from training.runtime.processes import in_order

SEGMENTS = 14  # without overlap (section 3.2)


@dataclass(frozen=True)
class Precision:
    """Share of one clip's windows that found their counterpart, both directions averaged."""

    id: str
    precision: float


def precisions(
    model: SegmentAVCLIP, source: Source, samples: Iterable[Sample], left_out: list[LeftOut], workers: int = 0
) -> Iterator[Precision]:
    """The precision of every clip; clips that cannot be used are added to `left_out` with the reason."""
    config = model.config
    for sample, media in in_order(partial(read_middle, source, config), samples, workers, ahead=2):
        if isinstance(media, str):
            left_out.append(LeftOut(sample.id, sample.split, media))
            continue
        frames, waves = segments_of(media, config)
        device = next(model.parameters()).device
        with torch.inference_mode():
            mel = mel_spectrogram(waves, config).to(device)
            video, audio = model.embed(frames[None].to(device), mel[None])
        if not (torch.isfinite(video).all() and torch.isfinite(audio).all()):
            left_out.append(LeftOut(sample.id, sample.split, "its embeddings hold NaN or infinity"))
            continue
        yield Precision(sample.id, float(window_precision(video[None], audio[None])))


def read_middle(source: Source, config: SynchformerConfig, sample: Sample) -> Media | str:
    """The middle of a clip, as long as all segments together, or a sentence about why there is none."""
    length = SEGMENTS * config.segment_seconds
    try:
        with source.open(sample) as clip:
            end = min(clip.info.video.stop, clip.info.audio.stop)
            if end < length - 1e-6:
                return f"picture and sound share {end:.2f} s; {SEGMENTS} segments need {length:.2f} s"
            start = int((end - length) / 2 * config.video_fps) / config.video_fps
            media = clip.read_for_model(config, start, start + length)
    except (ValueError, OSError, MemoryError) as error:
        return sentence_of(error)
    missing = len(media.video) < SEGMENTS * config.segment_frames
    return f"{sample.id} is damaged: its picture ends early" if missing else media


def segments_of(media: Media, config: SynchformerConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalized frames (S, F, 3, H, W) and waveforms (S, n) of segments side by side."""
    count = SEGMENTS * config.segment_frames
    frames = center_crop(media.video[:count], config.image_size).unflatten(0, (SEGMENTS, config.segment_frames))
    waves = media.audio[: SEGMENTS * config.segment_samples].unflatten(0, (SEGMENTS, config.segment_samples))
    return normalize_frames(frames), waves


def summary_of(clips: list[Precision]) -> tuple[float, tuple[float, float], float]:
    """Mean precision, its 95 % bootstrap interval over clips, and what guessing reaches."""
    values = np.array([item.precision for item in clips])
    chance = 1 / (SEGMENTS - WINDOW_SEGMENTS + 1)
    if len(set(values)) < 2:
        return float(values.mean()), (float("nan"), float("nan")), chance
    mean = mean_of(values)
    return mean.value, mean.interval, chance


@command
def main(argv: list[str] | None = None) -> int:
    """Print the precision; `--out` writes everything. Exit status 1 when no clip could be used, 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.segments", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or file of a stage I model")
    add_data(parser)
    add_split(parser)
    parser.add_argument("--count", type=int, default=500, help="clips at most (default 500)")
    add_seed(parser, "the first generated clip", SEEDS["test"][0])
    add_device(parser)
    add_workers(parser)
    parser.add_argument("--out", type=Path, help="JSON file; a table of the clips goes beside it")
    arguments = parser.parse_args(argv)
    try:
        generated = GeneratedSource(train=0, valid=0, test=arguments.count, first_test=arguments.seed)
        source = open_source(arguments.data, SourceOptions(arguments.annotations, generated))
        model = load_avclip(arguments.model, arguments.device).eval()
    except ValueError as error:
        parser.error(str(error))
    left_out = [item for item in source.left_out if item.split == arguments.split]
    samples = spread(source.samples(arguments.split), arguments.count)
    work = precisions(model, source, samples, left_out, arguments.workers)
    clips = list(tqdm(work, total=len(samples), desc="clips", mininterval=2))
    for reason, number in count_reasons(left_out).items():
        print(f"left out: {number} clips, {reason}", file=sys.stderr)
    if not clips:
        print(f"no {arguments.split} clip of {source.name} could be used", file=sys.stderr)
        return 1
    mean, bounds, chance = summary_of(clips)
    said = (
        f"{arguments.model} on {source.description(arguments.split)}; windows of 8 of 14 segments, {len(clips)} clips"
    )
    lines = (
        "| | precision |",
        "|---|---|",
        f"| chance | {percent(chance, None)} |",
        f"| all | {percent(mean, bounds)} |",
    )
    markdown = "\n".join(lines)
    print(f"{said}; {len(left_out)} left out\n\n{markdown}")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        values = {"said": said, "left_out": count_reasons(left_out), "markdown": markdown, "precision": mean}
        more = {"interval": bounds, "chance": chance, "left_out_clips": left_out, "clips": list(map(asdict, clips))}
        write_json(arguments.out, undefined_as_none(values | more))
        write_csv(arguments.out.with_name(f"{arguments.out.stem}-clips.csv"), clips)
    return 0


if __name__ == "__main__":
    sys.exit(main())
