"""Fill a model card with sizes read from the weights and figures read from evaluations; its prose is left alone.

python -m training.evaluate mini --count 500 --out results/mini.json
python -m training.card mini results/mini.json --out assets/mini.md

A card is Markdown with places that this command fills, `<!-- sizes -->` ... `<!-- end -->` and `<!-- measured -->` ...
`<!-- end -->`. A card that does not exist yet is begun with headings for the rest.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from synchformer.checkpoints.registry import CHECKPOINTS, embedded_weights, load_model, read_notes
from synchformer.cli.terminal import command
from synchformer.modeling.synchformer import Synchformer
from training.evaluation.report import Row, read_report, table

SKELETON = """# Model card: `{name}`

What it is, who trained it, on what, and under which license.

<!-- sizes -->
<!-- end -->

## How it was trained

The commands, the data, the hardware, and every difference from the paper.

## What it was measured on

<!-- measured -->
<!-- end -->

## What it is not for

What it never saw, and what its classes are too coarse for.
"""


def sizes(model: Synchformer, name: str) -> str:
    """A table of the model's sizes, read from its configuration and its weights."""
    c = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    output = (
        f"{c.offset_classes} offset classes from −{c.max_offset:g} to +{c.max_offset:g} s; above zero the sound runs "
        "ahead (is heard too early), below zero it lags"
        if c.head == "offset"
        else "whether picture and sound can be synchronized at all"
    )
    overlap = "overlapping by half" if 2 * c.segment_stride == c.segment_frames else f"{c.segment_stride} frames apart"
    depth = f"{c.video_depth} layers" if c.video_depth == c.audio_depth else f"{c.video_depth} / {c.audio_depth} layers"
    encoders = (
        f"width {c.dim}, {c.heads} heads, {depth} each, patches of {c.patch_size} px x {c.tubelet_frames} frames "
        f"and of {c.audio_patch} x {c.audio_patch} spectrogram cells"
        if c.extractors == "transformers"
        else f"S3D and ResNet-18 at {c.extractor_width:g} of their widths, projected to {c.dim}"
    )
    rows = {
        "input": f"{c.crop_seconds:g} s: {c.crop_frames} frames (short side {c.short_side} px, "
        f"center {c.image_size} px), {c.crop_samples:,} samples",
        "segments": f"{c.segments} of {c.segment_seconds:g} s, {overlap}",
        "output": output,
        "encoders": encoders,
        "synchronization module": f"width {c.sync_dim}, {c.sync_heads} heads, {c.sync_depth} layers",
        "parameters": f"{parameters / 1e6:.2f} million{_stored(name)}",
    }
    notes = {key: value for key, value in read_notes(name).items() if key.endswith("_steps")}
    if notes:
        rows["steps"] = ", ".join(f"{key.removesuffix('_steps')} {value}" for key, value in sorted(notes.items()))
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())])


def _stored(name: str) -> str:
    path = embedded_weights(name) if name in CHECKPOINTS else Path(name)
    return f", stored in {path.stat().st_size / 1e6:.1f} MB" if path.is_file() else ""


def measured(reports: list[dict[str, Any]]) -> str:
    """A section for each evaluation: what was measured, the figures, and what was left out."""
    return "\n\n".join(_section(report) for report in reports)


def _section(report: dict[str, Any]) -> str:
    parts = [f"**{_code(report['said'])}.**", report["markdown"]]
    if report.get("by_label"):
        parts.append("By class of sound (of all clips):")
        parts.append(table([Row(**row) for row in report["by_label"]]))
    if "calibration_error" in report:
        parts.append(
            f"Mean distance from the true offset: {report['mean_error_seconds']:.2f} s. Mean distance between "
            f"confidence and accuracy: {100 * report['calibration_error']:.1f} percentage points."
        )
    if "(" in report["markdown"]:
        parts.append("Intervals are 95 %, by bootstrap.")
    left_out = ", ".join(f"{count} ({reason})" for reason, count in report.get("left_out", {}).items())
    parts.append(f"Left out: {left_out or 'nothing'}.")
    return "\n\n".join(parts)


def _code(sentence: str) -> str:
    """A setting's sentence, the model's name as code."""
    name, _, rest = sentence.partition(" ")
    return f"`{name}` {rest}"


def fill(card: str, blocks: dict[str, str]) -> str:
    """Put text between the markers of each block.

    Raises:
        ValueError: when the card lacks a marker.
    """
    for name, text in blocks.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        block = pattern.search(card)
        if not block:
            raise ValueError(f"the card has no place <!-- {name} --> ... <!-- end -->; add it where it belongs")
        card = f"{card[: block.start()]}{block[1]}\n{text}\n\n{block[2]}{card[block.end() :]}"
    return card


@command
def main(argv: list[str] | None = None) -> int:
    """Write the card; exit status 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training.card", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or file of the model")
    parser.add_argument("reports", nargs="+", type=Path, help="JSON files of training.evaluate and its siblings")
    parser.add_argument("--out", type=Path, required=True, help="the card; its prose is kept when it exists")
    arguments = parser.parse_args(argv)
    try:
        reports = [read_report(path) for path in arguments.reports]
        blocks = {"sizes": sizes(load_model(arguments.model, "cpu"), arguments.model), "measured": measured(reports)}
        card = arguments.out.read_text() if arguments.out.exists() else SKELETON.format(name=arguments.model)
        arguments.out.write_text(fill(card, blocks))
    except ValueError as error:
        parser.error(str(error))
    print(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
