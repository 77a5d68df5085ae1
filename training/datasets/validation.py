"""What is wrong with a data set, noticed before training instead of after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from synchformer.config import SynchformerConfig
from synchformer.media.crop import SPARE, possible_starts
from synchformer.media.probe import MediaError, MediaInfo
from synchformer.modeling.segment_avclip import CLIP_SECONDS
from training.datasets.decoding import Probe, decode_sample, probe_sample
from training.datasets.source import SPLITS, Sample, Source, count_reasons
from training.runtime.processes import in_order

Item = TypeVar("Item")
Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
EXAMPLES = 3
MAX_SHARE = 0.1  # of the clips that may be damaged before a training ends; the others are left out
FEW = 2  # damaged clips that never end a training, however small the data set is
LATE = 0.04  # s: a stream that starts or ends this much from the other is worth a word


@dataclass(frozen=True)
class Finding:
    """One kind of problem, how often, in which clips, and what to do.

    `clips` are the ids of all clips that have it; none where the lists as a whole have it.
    """

    level: Level
    what: str
    count: int
    examples: tuple[str, ...]
    remedy: str
    clips: frozenset[str] = frozenset()


# What can be wrong with a clip's streams: level, what, and what to do.
_UNREADABLE = ("error", "cannot be read", "run training.prepare, and train on its output")
_ENCRYPTED = ("error", "encrypted: nothing in them can be used", "take copies that are not protected")
_SILENT = ("warning", "silent in every part that was decoded", "leave them out: nothing in them can be matched")
_FAULTY = "look at them; training.prepare writes what can be decoded of them"
_SHORT = ("warning", "too short for any offset", "nothing: stage I uses them, the other stages leave them out")
_SHORTER = ("warning", "too short for every offset of the grid", "nothing: they are drawn for the offsets they hold")
_SHORT1 = (
    "note",
    f"shorter than {CLIP_SECONDS} s",
    "nothing: stage I fills rows with several, synchronizability leaves them out",
)
_RATE = ("note", "not 25 fps and 16 kHz: converted on every reading", "training.prepare does it once")
_SIDE = ("note", "short side far above the model's: most decoding is wasted", "training.prepare scales once")
_SMALL = ("warning", "smaller than the model's input: enlarged", "use a model with a smaller image_size")
_APART = (
    "warning",
    f"picture and sound start more than {LATE} s apart",
    "if it is no real offset, prepare from masters",
)
_UNEVEN = ("note", "picture and sound end more than 0.5 s apart", "only what both hold is used")
_PLACE = ("error", "fixed start and offset lie outside the clip", "the tables belong to clips of 10 s; check the files")


def check_source(
    source: Source,
    config: SynchformerConfig,
    count: int | None = 500,
    workers: int = 0,
    decode: bool = False,
) -> list[Finding]:
    """Look at the lists as a whole, and into `count` clips of each split.

    Args:
        source: the data set.
        config: sizes of the model that it is meant for.
        count: clips of each split to look into, spread evenly over it; all when None.
        workers: processes that look; 0: this one.
        decode: decode a little of each clip, too (`training.datasets.decoding`).

    Returns:
        Findings, the worst first; empty when there is nothing to say.
    """
    findings = [*_check_lists(source)]
    look = partial(decode_sample, source, config) if decode else partial(probe_sample, source)
    by_kind: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    chosen = looked_into(source, count)
    for sample, probe in in_order(look, chosen, workers):
        for kind in problems_of(sample, probe, config):
            by_kind[kind][sample.id] = f"{sample.id} ({probe.error})" if probe.error else sample.id
    if len(by_kind[_SHORT]) == len(chosen):  # then nothing is left to train on
        by_kind["error", _SHORT[1], "give longer clips"] = by_kind.pop(_SHORT)
    for level in LEVELS:
        findings += [
            Finding(level, what, len(clips), tuple(clips.values())[:EXAMPLES], remedy, frozenset(clips))
            for (kind, what, remedy), clips in by_kind.items()
            if kind == level and clips
        ]
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def looked_into(source: Source, count: int | None) -> list[Sample]:
    """The clips that `check_source` looks into."""
    return [sample for split in SPLITS for sample in spread(source.samples(split), count)]


def problems_of(sample: Sample, probe: Probe, config: SynchformerConfig) -> Iterator[tuple[str, str, str]]:
    """What is wrong with one clip: level, what, remedy."""
    info = probe.info
    if info is None:
        yield _ENCRYPTED if "encrypted" in probe.error else _UNREADABLE
        return
    if probe.is_silent:
        yield _SILENT
    for fault in probe.faults:
        yield "warning", fault, _FAULTY
    shared = min(info.video.stop, info.audio.stop) - max(info.video.start, info.audio.start)
    if shared < config.crop_seconds - SPARE:
        yield _SHORT
    elif shared < config.crop_seconds + config.max_offset - SPARE:
        yield _SHORTER
    elif shared < CLIP_SECONDS - SPARE:
        yield _SHORT1
    side = min(info.width, info.height)
    wrong = {
        _RATE: (round(info.fps, 2), info.sample_rate) != (config.video_fps, config.sample_rate),
        _SIDE: side > 2 * max(config.short_side, 256),
        _SMALL: side < config.image_size,
        _APART: abs(info.video.start - info.audio.start) > LATE,
        _UNEVEN: abs(info.video.stop - info.audio.stop) > 0.5,
        _PLACE: not _holds(info, sample, config),
    }
    yield from (kind for kind, applies in wrong.items() if applies)


def _holds(info: MediaInfo, sample: Sample, config: SynchformerConfig) -> bool:
    if sample.fixed is None:
        return True
    try:
        first, last = possible_starts(info, config, sample.fixed.offset)
    except MediaError:
        return False
    frame = 1 / config.video_fps  # the published tables are cut to frames downwards
    return first - frame <= sample.fixed.start <= last + SPARE


def _check_lists(source: Source) -> Iterator[Finding]:
    splits = {split: source.samples(split) for split in SPLITS}
    for split in ("train", "valid"):
        if not splits[split]:
            yield Finding("warning", f"no clips to {split} on", 0, (), f"give a data set with a {split} split")
    homes: dict[str, set[str]] = defaultdict(set)
    for split, samples in splits.items():
        for sample in samples:
            homes[sample.group].add(split)
    leaks = sorted(group for group, home in homes.items() if len(home) > 1)
    if leaks:
        what = "recordings with clips in several splits: results would be too good"
        yield Finding("error", what, len(leaks), tuple(leaks[:EXAMPLES]), "keep each recording in one split")
    for reason, count in count_reasons(source.left_out).items():
        ids = [item.id for item in source.left_out if item.reason == reason][:EXAMPLES]
        yield Finding("note", f"left out: {reason}", count, tuple(ids), "nothing, if that is meant")


def spread(items: Sequence[Item], count: int | None) -> list[Item]:
    """`count` samples (or other items) at even distances, or all."""
    if count is None or len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def table(findings: Iterable[Finding]) -> str:
    """The findings as a Markdown table."""
    lines = ["| | found | clips | such as | what to do |", "|---|---|---|---|---|"]
    for finding in findings:
        such = ", ".join(finding.examples)
        lines.append(f"| {finding.level} | {finding.what} | {finding.count or ''} | {such} | {finding.remedy} |")
    return "\n".join(lines) if len(lines) > 2 else "Nothing is wrong with it."


def summary(findings: Iterable[Finding], looked: int) -> str:
    """How many of the clips that were looked into have something wrong, in words."""
    by_level = {level: set[str]() for level in LEVELS}
    for finding in findings:
        by_level[finding.level] |= finding.clips
    warned = by_level["warning"] - by_level["error"]
    return f"{looked} clips looked into: {len(by_level['error'])} with errors, {len(warned)} more with warnings"


def is_small_share(count: int, total: int) -> bool:
    """Whether so few of `total` clips are damaged that a training goes on without them."""
    return count <= max(FEW, MAX_SHARE * total)


def require_usable(source: Source, config: SynchformerConfig, count: int | None = 500, workers: int = 0) -> str:
    """Check a data set before training; returns the table to print.

    Raises:
        ValueError: when its lists have errors, or more than a small share of its clips; the message holds the table.
    """
    findings = check_source(source, config, count, workers)
    errors = [finding for finding in findings if finding.level == "error"]
    damaged = frozenset[str]().union(*(finding.clips for finding in errors))
    few = is_small_share(len(damaged), len(looked_into(source, count)))
    if not few or any(not finding.clips for finding in errors):
        raise ValueError(f"{source.name} cannot be trained on as it is:\n{table(findings)}")
    return table(findings)
