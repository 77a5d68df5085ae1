"""Which moments of a video made the model decide? From a shell.

python -m attribution clip.mp4 --start 2 --offset 0.4 --out evidence
python -m attribution clip.mp4 --modality audio --level input --samples 400 --json

Ctrl-C keeps what there is. Exit status: 0 done, 1 the video or the distractors cannot be used, 2 wrong usage,
130 interrupted (the partial result is written).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from attribution.settings import MODALITIES, Settings
from synchformer.cli.options import add_device
from synchformer.cli.terminal import command, print_json
from synchformer.errors import sentence_of

if TYPE_CHECKING:
    from attribution.result import Attribution
    from synchformer.media.crop import Crop

INTERRUPTED = 130
FIGURES = (".png", ".svg", ".pdf")


@command
def main(argv: list[str] | None = None) -> int:
    """Attribute one video; returns the exit status (see the top of this file)."""
    try:
        options = _parser().parse_args(argv)
        settings = _settings(options)
    except SystemExit as stop:
        return int(stop.code or 0)
    except ValueError as error:
        print(f"attribution: {error}", file=sys.stderr)
        return 2
    try:
        return _run(options, settings)
    except (ValueError, OSError, MemoryError) as error:
        print(f"attribution: {sentence_of(error)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m attribution", description="Which moments of a video made the model decide?"
    )
    parser.add_argument("video", type=Path, metavar="VIDEO")
    parser.add_argument("--model", default="mini", help="a name from `synchformer models`, or a file (default: mini)")
    add_device(parser)
    parser.add_argument("--start", type=float, default=0.0, help="first second of the crop (default: 0)")
    parser.add_argument("--offset", type=float, default=0.0, help="move the sound this many seconds earlier first")
    parser.add_argument("--samples", type=int, default=2000, help="masks per stream, at most (default: 2000)")
    parser.add_argument("--tolerance", type=float, help="stop when every 95 %% interval is narrower, such as 0.1")
    parser.add_argument("--modality", default="audio,video", help="streams to explain (default: audio,video)")
    parser.add_argument(
        "--level", choices=("token", "input"), default="token", help="what is replaced: features, or frames and samples"
    )
    parser.add_argument("--unit-seconds", "--chunk", type=float, default=0.1, help="length of a unit (default: 0.1)")
    parser.add_argument(
        "--smooth", type=float, default=0.2, help="half-width in s over which curves are averaged (default: 0.2)"
    )
    parser.add_argument("--keep", type=float, default=0.5, help="probability that a unit is kept (default: 0.5)")
    parser.add_argument("--reference", default="prediction", help="prediction (default), applied, or seconds")
    parser.add_argument("--distractors", type=Path, help="folder of videos that fill what is masked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", choices=("score", "effect", "margin"), default="score", help="for the figure")
    parser.add_argument("--out", type=Path, help="folder for JSON, CSV, NPZ and the figure (PNG, SVG, PDF)")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    modalities = tuple(name for name in MODALITIES if name in options.modality.split(","))
    if set(options.modality.split(",")) - set(modalities):
        raise ValueError(f"--modality must be audio, video or audio,video, not {options.modality!r}")
    reference = options.reference
    if reference not in ("prediction", "applied"):
        try:
            reference = float(reference)
        except ValueError:
            raise ValueError(f"--reference must be prediction, applied or seconds, not {reference!r}") from None
    return Settings(
        samples=options.samples,
        modalities=modalities,
        level=options.level,
        unit_seconds=options.unit_seconds,
        keep=options.keep,
        tolerance=options.tolerance,
        reference=reference,
        smooth=options.smooth,
        seed=options.seed,
    )


def _run(options: argparse.Namespace, settings: Settings) -> int:
    from attribution.masking.distractors import EXAMPLES, load_bank
    from attribution.sampling_loop import stream
    from synchformer.checkpoints.registry import load_model
    from synchformer.media.crop import load_clip

    model = load_model(options.model, options.device)
    clip = load_clip(options.video, options.start, options.offset, config=model.config)
    bank = load_bank(model, (options.distractors or EXAMPLES,))
    for note in bank.notes:
        print(note, file=sys.stderr)
    result: Attribution | None = None
    status = 0
    try:
        for part in _shown(stream(model, clip, bank, settings), settings):
            result = part
    except KeyboardInterrupt:
        status = INTERRUPTED
        print("interrupted; what is known so far follows", file=sys.stderr)
    if result is not None:
        _write(result, clip, options)
    return status


def _shown(parts: Iterator[Attribution], settings: Settings) -> Iterator[Attribution]:
    """The parts, with a progress bar of masks on standard error."""
    with _bar(settings) as bar:
        for part in parts:
            bar.total = part.masks + part.left
            bar.update(part.masks - bar.n)
            yield part


@contextmanager
def _bar(settings: Settings) -> Iterator[tqdm]:
    with tqdm(total=settings.masks * len(settings.runs), unit=" masks", file=sys.stderr) as bar:
        yield bar


def _write(result: Attribution, clip: Crop, options: argparse.Namespace) -> None:
    if options.out:
        from attribution.figures.figure_data import make_figure_data
        from attribution.figures.matplotlib_figure import save_figure

        figure_data = make_figure_data(clip, result, measure=options.measure)
        result.save(options.out)
        for suffix in FIGURES:
            save_figure(figure_data, options.out / f"attribution{suffix}")
    if options.json:
        print_json(result.as_json())
    else:
        print(as_text(result))


def as_text(result: Attribution) -> str:
    """The finding in words, and the strongest moments of each stream."""
    from attribution.strongest_moments import NONE_CERTAIN, strongest_moments

    lines = [
        result.sentence,
        f"{result.masks} masks, {result.settings.level} level, {result.rate:.0f} masks per second",
    ]
    for modality, moments in strongest_moments(result).items():
        lines += ["", f"{modality}: seconds of the crop, score, effect on being correct (95 % interval)"]
        lines += [
            f"  {each.unit.begin:5.2f}-{each.unit.end:<5.2f} {each.score:6.3f} "
            f"{each.effect:+7.3f} ({each.low:+.3f} to {each.high:+.3f})"
            for each in moments
        ] or [f"  {NONE_CERTAIN}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
