"""Predictions on held-out clips, one by one: what was applied, what came out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from synchformer.config import SynchformerConfig
from synchformer.errors import sentence_of
from synchformer.inference.prediction import predict
from synchformer.media.crop import Crop, crop_interval, cut_crop, load_clip
from synchformer.media.probe import Media, MediaInfo
from synchformer.modeling.synchformer import TwoStreams
from synthetic import Scene, write_clip
from training.datasets.source import LeftOut, Place, Sample, Source
from training.evaluation.protocols import Protocol
from training.runtime.processes import in_order

TOGETHER = 30.0  # s: crops of one clip are decoded together when they span no more than this
Draw = Callable[[Sample, MediaInfo, SynchformerConfig], list[Place]]


@dataclass(frozen=True)
class Trial:
    """One prediction: what was applied, what came out, and how many events both crops share (None: unknown).

    `seed` is the seed of a generated clip, or the number of the clip or of the start. `values` are what the data set's
    table says of the clip in the columns that an evaluation divides by; trials of one `cluster` (the clip, where it is
    empty) are no independent observations.
    """

    seed: int
    start: float
    target: int
    predicted: int
    confidence: float
    shared: int | None
    id: str = ""
    round: int = 0
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    cluster: str = ""

    @property
    def distance(self) -> int:
        """Classes between truth and prediction."""
        return abs(self.predicted - self.target)

    @property
    def clip(self) -> str:
        """What the crop was cut from."""
        return self.id or str(self.seed)

    @property
    def unit(self) -> str:
        """What is drawn anew for an interval: the cluster, or the clip where there is none."""
        return self.cluster or self.clip


def draw_trial(scene: Scene, config: SynchformerConfig) -> tuple[float, int, int]:
    """Random start (seconds), offset class and number of shared events, a function of the scene's seed."""
    rng = np.random.Generator(np.random.PCG64([0xE7A1, scene.seed]))
    target = int(rng.integers(config.offset_classes))
    offset, length = config.grid[target], config.crop_seconds
    start = float(rng.uniform(max(0.0, -offset), scene.duration - length - max(0.0, offset)))
    start = round(start * config.video_fps) / config.video_fps
    return start, target, shared_events(scene, Place(start, offset), config)


def shared_events(scene: Scene, place: Place, config: SynchformerConfig) -> int:
    """How many events of a scene are both seen and heard in a crop."""
    begin, length = place.start, config.crop_seconds
    heard = begin + place.offset
    return len(scene.shared_events((begin, begin + length), (heard, heard + length)))


def generated_trials(model: TwoStreams, source: Source, workers: int = 2) -> Iterator[Trial]:
    """One trial for every generated test clip, written as MP4 and read back: the path that a user's file takes."""
    with tempfile.TemporaryDirectory() as folder:
        written = in_order(partial(write_sample, source, Path(folder)), source.samples("test"), workers)
        for sample, path in written:
            start, target, shared = draw_trial(truth_of(source, sample), model.config)
            prediction = predict(model, load_clip(path, start, model.config.grid[target], config=model.config))
            path.unlink()
            guess = model.config.offset_class(prediction.offset)
            seed = int(sample.group)
            yield Trial(seed, start, target, guess, prediction.confidence, shared, sample.id, 0, sample.labels)


def truth_of(source: Source, sample: Sample) -> Scene:
    """The scene behind a generated clip.

    Raises:
        ValueError: when the clip is a recorded one.
    """
    scene = source.scene(sample)
    if scene is None:
        raise ValueError(f"{sample.id} of {source.name} is a recording, whose events nobody knows; give synthetic:SEED")
    return scene


def write_sample(source: Source, folder: Path, sample: Sample) -> Path:
    """Write a generated clip as a file of its own."""
    return write_clip(truth_of(source, sample), folder / f"{sample.id}.mp4", size=(256, 256))


def source_trials(
    model: TwoStreams,
    source: Source,
    samples: Iterable[Sample],
    protocol: Protocol,
    left_out: list[LeftOut],
    seed: int = 0,
    workers: int = 0,
    by: Sequence[str] = (),
    cluster: str = "",
) -> Iterator[Trial]:
    """Trials of every clip under a protocol; clips that cannot be used are added to `left_out` with the reason.

    `by` and `cluster` name columns of the data set's table; see `Trial`.
    """
    config = model.config
    draw = partial(_protocol_places, protocol, seed)
    for number, (sample, clips) in enumerate(crops_of(source, samples, draw, config, left_out, workers)):
        scene = source.scene(sample)
        for index, clip in enumerate(clips):
            try:
                prediction = predict(model, clip)
            except ValueError as error:
                left_out.append(LeftOut(sample.id, sample.split, sentence_of(error)))
                break
            shared = None if scene is None else shared_events(scene, Place(clip.start, clip.offset), config)
            target, guess = config.offset_class(clip.offset), config.offset_class(prediction.offset)
            yield Trial(
                number,
                clip.start,
                target,
                guess,
                prediction.confidence,
                shared,
                sample.id,
                index,
                sample.labels,
                tuple(sample.value(column) for column in by),
                sample.value(cluster),
            )


def _protocol_places(
    protocol: Protocol, seed: int, sample: Sample, info: MediaInfo, config: SynchformerConfig
) -> list[Place]:
    return protocol.places(sample, info, config, seed)


@dataclass(frozen=True)
class Reading:
    """Decoded stretches of one clip with the crops that lie in each, or a sentence about why there are none."""

    parts: tuple[tuple[Media, tuple[Place, ...]], ...] = ()
    error: str = ""


def crops_of(
    source: Source,
    samples: Iterable[Sample],
    draw: Draw,
    config: SynchformerConfig,
    left_out: list[LeftOut],
    workers: int = 0,
) -> Iterator[tuple[Sample, Iterator[Crop]]]:
    """The crops that `draw` wants of each clip, decoded in `workers` processes; unusable clips go to `left_out`."""
    for sample, reading in in_order(partial(read_places, source, draw, config), samples, workers, ahead=2):
        if reading.error:
            left_out.append(LeftOut(sample.id, sample.split, reading.error))
            continue
        places = ((media, place) for media, part in reading.parts for place in part)
        yield sample, (cut_crop(media, place.start, place.offset, config=config) for media, place in places)


def read_places(source: Source, draw: Draw, config: SynchformerConfig, sample: Sample) -> Reading:
    """Draw the crops of one clip and decode what they need, together when they are near each other."""
    try:
        with source.open(sample) as clip:
            places = tuple(draw(sample, clip.info, config))
            spans = [crop_interval(place.start, place.offset, config) for place in places]
            first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
            apart = [(span, places[index : index + 1]) for index, span in enumerate(spans)]
            groups = apart if last - first > TOGETHER else [((first, last), places)]
            parts = [(_checked(clip.read_for_model(config, *span), part, config), part) for span, part in groups]
    except (ValueError, OSError, MemoryError) as error:
        return Reading(error=sentence_of(error))
    return Reading(tuple(parts))


def _checked(media: Media, places: tuple[Place, ...], config: SynchformerConfig) -> Media:
    """The same media, once every crop was cut out of it: a place outside must be found here, not in the evaluation."""
    for place in places:
        cut_crop(media, place.start, place.offset, config=config)
    return media
