"""How well a model tells what can be synchronized from what cannot, on held-out generated clips, through real files.

python -m training.evaluation.synchronizability_by_cause mini-synchronizability --count 400

Every second trial can be synchronized: an offset of the grid, and at least one event that is seen and heard in both
crops. The others cannot, in turn for one of three reasons: "far", the sound of the same clip one crop length earlier or
later (section 4.2); "foreign", the sound of another clip; "unshared", an offset of the grid, but no event that is both
seen in the one crop and heard in the other. Clips are written as MP4 and read back as a user's file is; none of their
seeds is trained or validated on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tqdm import tqdm

from synchformer.checkpoints.registry import load_model
from synchformer.cli.terminal import command
from synchformer.config import SynchformerConfig
from synchformer.inference.engine import check_model
from synchformer.media.crop import Crop, load_clip
from synchformer.modeling.synchformer import Synchformer
from synchformer.stats import roc
from synchformer.storage.atomic import write_json
from synthetic import SEEDS, Scene, require_held_out, sample_scene, write_clip
from training.config.command_options import add_seed, add_workers
from training.runtime.processes import in_order
from training.sampling.clips import SceneClips
from training.sampling.crops import CropError, CropPlace, draw_far, draw_foreign, draw_offset

Kind = Literal["shared", "far", "foreign", "unshared"]
KINDS: tuple[Kind, ...] = ("shared", "far", "shared", "foreign", "shared", "unshared")

FIRST_SEED = SEEDS["synchronizability"][0]
STRIDE = 10  # seeds between trials: room for clips that do not hold a trial's kind, and for foreign sound


@dataclass(frozen=True)
class Trial:
    """One question: what kind of crop, and the probability that the model gives to "can be synchronized"."""

    seed: int
    kind: Kind
    probability: float

    @property
    def positive(self) -> bool:
        """Whether it can be synchronized."""
        return self.kind == "shared"


def draw_trial(number: int, config: SynchformerConfig, first: int = FIRST_SEED) -> tuple[Kind, CropPlace, list[Scene]]:
    """Kind, crop and the two scenes it may refer to, a function of the trial's number.

    Raises:
        CropError: when none of the trial's seeds gives a clip that holds the kind.
    """
    kind = KINDS[number % len(KINDS)]
    for seed in range(first + number * STRIDE, first + number * STRIDE + STRIDE - 1):
        scenes = [sample_scene(seed), sample_scene(seed + 1)]
        rng = np.random.Generator(np.random.PCG64([0x5C, seed]))
        try:
            return kind, _draw(kind, scenes, config, rng), scenes
        except CropError:
            continue
    raise CropError(f"trial {number} found no clip for the kind {kind!r}")


def _draw(kind: Kind, scenes: list[Scene], config: SynchformerConfig, rng: np.random.Generator) -> CropPlace:
    if kind == "foreign":
        return draw_foreign(SceneClips(scenes, config.video_fps), config, rng)
    own = SceneClips(scenes[:1], config.video_fps)
    return draw_far(own, config, rng) if kind == "far" else draw_offset(own, config, rng, kind == "shared")


def read_trial(crop: CropPlace, scenes: list[Scene], config: SynchformerConfig, folder: Path) -> Crop:
    """Write the clips that a crop needs as MP4 files and read the crop out of them."""
    fps = config.video_fps
    paths = {
        clip: write_clip(scenes[clip], folder / f"{clip}.mp4", size=(256, 256)) for clip in {crop.clip, crop.sound_clip}
    }
    if crop.clip == crop.sound_clip:
        return load_clip(paths[crop.clip], crop.start / fps, (crop.sound - crop.start) / fps, config=config)
    picture = load_clip(paths[crop.clip], crop.start / fps, config=config)
    return replace(picture, audio=load_clip(paths[crop.sound_clip], crop.sound / fps, config=config).audio)


@torch.inference_mode()
def run_trial(number: int, model: Synchformer, first: int) -> Trial:
    """Draw, write, read and ask."""
    kind, crop, scenes = draw_trial(number, model.config, first)
    with tempfile.TemporaryDirectory() as folder:
        clip = read_trial(crop, scenes, model.config, Path(folder))
    probability = model(clip.frames()[None], clip.mel()[None]).softmax(1)[0, 1]
    return Trial(scenes[0].seed, kind, float(probability))


def area(trials: Sequence[Trial]) -> tuple[float, tuple[float, float]]:
    """Area under the ROC curve with its 95 % interval; one half is chance."""
    sure, truth = [trial.probability for trial in trials], [trial.positive for trial in trials]
    return roc.area(sure, truth), roc.area_interval(sure, truth)


def table(trials: Sequence[Trial]) -> str:
    """The area over all, and for each kind that cannot be synchronized against all that can, as a Markdown table."""
    can = [trial for trial in trials if trial.positive]
    lines = [
        "| cannot be synchronized because | trials (cannot + can) | AUC | called synchronizable at 0.5 |",
        "|---|---|---|---|",
    ]
    kinds = [kind for kind in dict.fromkeys(KINDS) if kind != "shared"]
    for name, wanted in [("any of the three", kinds), *((kind, [kind]) for kind in kinds)]:
        cannot = [trial for trial in trials if trial.kind in wanted]
        value, (low, high) = area([*cannot, *can])
        called = f"{_called(cannot):.1%} (of those that can: {_called(can):.1%})"
        lines.append(f"| {name} | {len(cannot)} + {len(can)} | {value:.3f} ({low:.3f}–{high:.3f}) | {called} |")
    return "\n".join([*lines, "| chance | | 0.500 | |"])


def _called(trials: Sequence[Trial]) -> float:
    return sum(trial.probability > 0.5 for trial in trials) / max(1, len(trials))


@command
def main(argv: list[str] | None = None) -> int:
    """Print the table; `--out` also writes every trial as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.synchronizability_by_cause", description=__doc__.splitlines()[0]
    )
    parser.add_argument("model", nargs="?", default="mini-synchronizability", help="name or file of the model")
    parser.add_argument("--count", type=int, default=400, help="trials (default 400)")
    add_seed(parser, "the first trial", FIRST_SEED)
    add_workers(parser)
    parser.add_argument("--out", type=Path, help="JSON file for every trial")
    arguments = parser.parse_args(argv)
    if arguments.count < len(KINDS):
        parser.error(f"--count must be at least {len(KINDS)}, so that every kind occurs")
    try:
        require_held_out(range(arguments.seed, arguments.seed + arguments.count * STRIDE))
    except ValueError as error:
        parser.error(str(error))
    model = load_model(arguments.model, "cpu")
    try:
        check_model(model, "synchronizability")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    run = partial(run_trial, model=model, first=arguments.seed)
    asked = in_order(run, range(arguments.count), arguments.workers)
    trials = [trial for _, trial in tqdm(asked, total=arguments.count, desc="trials")]
    print(table(trials))
    if arguments.out:
        write_json(arguments.out, trials)
    return 0


if __name__ == "__main__":
    sys.exit(main())
