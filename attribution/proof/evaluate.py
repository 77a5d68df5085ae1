"""Proof of the attribution on generated clips, whose evidence is known.

python -m attribution.proof.evaluate --count 60 --seed 4000000 --events 1-1
python -m attribution.proof.evaluate --count 20 --seed 4000000 --events 2-4 --keep 0.3 --out several.json
python -m attribution.proof.evaluate --count 20 --methods occlusion,kernelshap,integrated_gradients

Every clip is written as MP4 and cut where both crops hold the asked number of events, with a random offset of the grid.
Clips whose offset the model gets wrong by more than a class are counted and left out: there is nothing to attribute.
Results so far are kept in `--out`, from which an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from attribution.estimation.smoothing import triangle
from attribution.masking.distractors import Bank, load_bank
from attribution.proof.captum_methods import METHODS, Method, explain
from attribution.proof.metrics import curve_area, pointing_chance, points_at, rank_correlation, ranking_masks, roc_area
from attribution.result import MEASURES, Attribution, Curve
from attribution.sampling_loop import attribute
from attribution.scoring.scorers import TokenScorer
from attribution.settings import KEYS, MODALITIES, Settings
from synchformer.checkpoints.registry import load_model
from synchformer.cli.options import add_device
from synchformer.cli.terminal import command
from synchformer.config import SynchformerConfig
from synchformer.inference.prediction import Encoding, encode
from synchformer.media.crop import Crop, load_clip
from synchformer.modeling.synchformer import Synchformer
from synchformer.storage.json_text import to_json, undefined_as_none
from synthetic import SEEDS, Scene, require_held_out, sample_scene, write_clip

TRIES = 200  # random places of a crop before a scene is passed over
EDGE = 0.3  # s: no event so close to the end of what the segments cover


@dataclass(frozen=True)
class Case:
    """A crop of a scene: its start, its offset, and the seconds of the crop at which events are seen and heard."""

    scene: Scene
    start: float
    offset: float
    seen: tuple[float, ...]
    heard: tuple[float, ...]

    def events(self, modality: str) -> tuple[float, ...]:
        """Times of the events that both crops hold, on the stream's own time."""
        return self.seen if modality == "video" else self.heard


def draw_case(seed: int, events: tuple[int, int], config: SynchformerConfig) -> Case | None:
    """A random crop that holds at least `events[0]` shared events; None when the scene has no such place."""
    scene = sample_scene(seed, events)
    rng = np.random.Generator(np.random.PCG64([0xA77, seed]))
    length = config.crop_seconds
    for _ in range(TRIES):
        offset = config.grid[int(rng.integers(config.offset_classes))]
        start = round(rng.uniform(max(0.0, -offset), scene.duration - length - max(0.0, offset)) * 25) / 25
        inner = (start + EDGE, start + length - EDGE)
        shared = scene.shared_events(inner, (inner[0] + offset, inner[1] + offset))
        if len(shared) >= max(events[0], 1):
            seen = tuple(event.time - start for event in shared)
            return Case(scene, start, offset, seen, tuple(time - offset for time in seen))
    return None


def cases(
    model: Synchformer, seed: int, count: int, events: tuple[int, int], done: int = 0
) -> Iterator[tuple[Case, Crop]]:
    """The first `count` drawable cases from `seed` on, less the first `done`, with their clips read from files."""
    drawn, number = 0, seed
    with tempfile.TemporaryDirectory() as folder:
        while drawn < count:
            case = draw_case(number, events, model.config)
            number += 1
            if case is None:
                continue
            drawn += 1
            if drawn <= done:
                continue
            path = write_clip(case.scene, Path(folder) / f"{number}.mp4", size=(256, 256))
            yield case, load_clip(path, case.start, case.offset, config=model.config)


def merits_of(curve: Curve, case: Case, half: Curve) -> dict[str, dict[str, float]]:
    """Figures of merit of each look at a curve; `half` is the same from other masks."""
    events, other = case.events(curve.modality), looks(half)
    return {
        name: {
            "pointing": points_at(curve.units, values, events),
            "pointing_chance": pointing_chance(curve.units, events),
            "auroc": roc_area(curve.units, values, events),
            "repeatability": rank_correlation(values, other[name]),
        }
        for name, values in looks(curve).items()
    }


def looks(curve: Curve) -> dict[str, np.ndarray]:
    """Every measure as it is shown, averaged over neighbors, and unit by unit."""
    shown = {name: curve.measure(name).value for name in MEASURES}
    single = {f"{name}, single units": getattr(curve.estimates, name).value for name in MEASURES}
    return shown | (single if curve.smooth else {})


def faithfulness(
    model: Synchformer, encoding: Encoding, bank: Bank, attribution: Attribution, curve: Curve, values: np.ndarray
) -> dict[str, float]:
    """Areas under the insertion and the deletion curve of the probability of the decision, and of a random order."""
    scorer = TokenScorer(model, encoding, [each.encoding for each in bank.distractors], curve.units, "fp32")
    rng = np.random.Generator(np.random.PCG64(0))
    areas = {}
    for name, ranking in (("", values), ("_chance", rng.permutation(len(values)).astype(float))):
        for insert in (True, False):
            masks = torch.from_numpy(ranking_masks(ranking, insert))
            choice = torch.arange(len(masks)) % len(bank.distractors)
            shares = attribution.target.probability(scorer(masks, choice)).double().cpu().numpy()
            areas[("insertion" if insert else "deletion") + name] = curve_area(shares)
    return areas


def prove(
    model: Synchformer, case: Case, clip: Crop, bank: Bank, settings: Settings, methods: tuple[Method, ...]
) -> Any:
    """All figures of one case, or the word `wrong` when the model's decision is not the true one."""
    attribution = attribute(model, clip, bank, settings)
    if not attribution.target.holds_for_whole_clip:
        return "wrong"
    again = attribute(model, clip, bank, replace(settings, seed=settings.seed + 1))
    encoding, others = encode(model, clip, precision="fp32"), [each.encoding for each in bank.distractors]
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for curve in attribution.curves:
        rows[curve.modality] = merits_of(curve, case, again.curve(curve.modality))
        for name, values in looks(curve).items():
            rows[curve.modality][name] |= faithfulness(model, encoding, bank, attribution, curve, values)
        for method in methods:
            values = explain(model, encoding, others, curve.units, attribution.target, method)
            values = triangle(curve.middles, curve.smooth) @ values  # the same look as the curves
            events = case.events(curve.modality)
            rows[curve.modality][method] = {
                "pointing": points_at(curve.units, values, events),
                "pointing_chance": pointing_chance(curve.units, events),
                "auroc": roc_area(curve.units, values, events),
            } | faithfulness(model, encoding, bank, attribution, curve, values)
    return rows


def sanity(model: Synchformer, clip: Crop, bank: Bank, settings: Settings) -> dict[str, float]:
    """Share of score intervals that contain the keep probability, with the synchronization module's weights random."""
    torch.manual_seed(0)
    other = Synchformer(model.config).eval().to(next(model.parameters()).device)
    other.video_encoder, other.audio_encoder = model.video_encoder, model.audio_encoder
    attribution = attribute(other, clip, bank, settings)
    shares: dict[str, float] = {}
    for curve in attribution.curves:
        score = curve.estimates.score
        shares[curve.modality] = float(((score.low <= settings.keep) & (settings.keep <= score.high)).mean())
    return shares


def table(results: list[Any]) -> str:
    """Means over the clips as Markdown: a row per stream and method, chance beside what has one."""
    kept = [result for result in results if result != "wrong"]
    columns = ("pointing", "auroc", "repeatability", "insertion", "deletion")
    lines = [f"| stream | method | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 2)]
    for modality in MODALITIES:
        present = [result[modality] for result in kept if modality in result]
        for name in present[0] if present else ():
            cells = [_cell([row[name] for row in present], column) for column in columns]
            lines.append(f"| {modality} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(rows: list[dict[str, float]], column: str) -> str:
    values = [row[column] for row in rows if row.get(column) is not None]
    if not values:
        return ""
    chance = {"auroc": 0.5, "repeatability": 0.0}.get(column)
    guesses = [row[f"{column}_chance"] for row in rows if f"{column}_chance" in row]
    chance = float(np.mean(guesses)) if guesses else chance
    return f"{np.nanmean(values):.3f} (chance {chance:.3f})"


@command
def main(argv: list[str] | None = None) -> int:
    """Print the tables; exit status 2 on wrong usage, seeds on which weights were shaped included."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        require_held_out(range(options.seed, options.seed + options.count))
    except ValueError as error:
        parser.error(str(error))
    low, _, high = options.events.partition("-")
    events = int(low), int(high or low)
    model = load_model(options.model, options.device)
    settings = Settings(
        samples=options.samples,
        level=options.level,
        keep=options.keep,
        unit_seconds=options.unit_seconds,
        reference="applied",
        smooth=options.smooth,
    )
    methods = tuple(name for name in METHODS if name in options.methods.split(","))
    if set(filter(None, options.methods.split(","))) - set(METHODS):
        raise SystemExit(f"--methods must be among {', '.join(METHODS)}, not {options.methods}")
    bank = load_bank(model)
    identity = {"arguments": {KEYS.get(k, k): str(v) for k, v in vars(options).items() if k not in ("out", "count")}}
    state = _resume(options.out, identity)
    rest = cases(model, options.seed, options.count, events, len(state["results"]))
    for case, clip in tqdm(rest, total=options.count, initial=len(state["results"]), desc="clips"):
        if len(state["sanity"]) < options.sanity:
            state["sanity"].append(sanity(model, clip, bank, settings))
        state["results"].append(prove(model, case, clip, bank, settings, methods))
        if options.out:
            options.out.write_text(to_json(undefined_as_none(state)))
    wrong = state["results"].count("wrong")
    done = f"{len(state['results'])} clips with {options.events} shared events, {settings.level} level"
    print(f"{done}, {settings.samples} masks, keep {settings.keep:g}; {wrong} left out: the model is wrong there\n")
    print(table(state["results"]))
    for modality in MODALITIES if state["sanity"] else ():
        share = np.mean([row[modality] for row in state["sanity"]])
        print(
            f"\nrandom weights, {modality}: {100 * share:.1f} % of the intervals contain {settings.keep:g} (95 % meant)"
        )
    return 0


def _resume(path: Path | None, identity: dict[str, Any]) -> dict[str, Any]:
    fresh = {**identity, "results": [], "sanity": []}
    if path is None or not path.exists():
        return fresh
    state: dict[str, Any] = json.loads(path.read_text())
    if state["arguments"] != identity["arguments"]:
        raise SystemExit(f"{path} holds results of other arguments; choose another --out or remove it")
    return state


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m attribution.proof.evaluate", description="Attribution against known evidence."
    )
    parser.add_argument("--model", default="mini")
    add_device(parser)
    parser.add_argument("--count", type=int, default=40, help="clips (default 40)")
    parser.add_argument(
        "--seed", type=int, default=SEEDS["attribution"][0], help="seed of the first scene (default %(default)s)"
    )
    parser.add_argument("--events", default="1-1", help="fewest-most shared events of a clip (default 1-1)")
    parser.add_argument("--samples", type=int, default=2000, help="masks per stream (default 2000)")
    parser.add_argument("--level", choices=("token", "input"), default="token")
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--unit-seconds", "--chunk", type=float, default=0.1, help="length of a unit (default 0.1)")
    parser.add_argument("--smooth", type=float, default=0.2, help="half-width of the curves' averages (default 0.2 s)")
    parser.add_argument("--methods", default="", help=f"also compare with some of {','.join(METHODS)}")
    parser.add_argument("--sanity", type=int, default=3, help="clips for the check with random weights (default 3)")
    parser.add_argument("--out", type=Path, help="JSON file of results; a run goes on from it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
