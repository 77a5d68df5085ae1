"""Measure when a model may state an offset, on generated clips and on footage in sync with planted random offsets.

python -m training.calibration.consensus runs/consensus --model mini --footage FOLDER --picture assets/risk.png

The folder of footage has a `manifest.csv` with the columns file, split, kind and source; its clips are in sync.
Answers are kept in the run's folder, which an interrupted run goes on with; pictures are encoded once for every start.
The constants are fitted on the footage of one split and on the generated clips; what is printed of these are figures of
sources that were left out, one fold after the other. Where a model was trained on the footage of one split, it
understands that better than any other: fit on the other one (`--fit-on valid`). Constants go to `assets/consensus.json`
under the fingerprints of the weights.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synchformer.checkpoints.assets import asset
from synchformer.checkpoints.fingerprint import fingerprint
from synchformer.checkpoints.registry import load_model
from synchformer.cli.terminal import command
from synchformer.consensus.constants import CONSENSUS_FILE, RISK, Statement, statement_as_dict
from synchformer.consensus.support import Floats
from synchformer.inference.engine import check_model
from synchformer.offsets.plots import save
from synchformer.storage.atomic import put_into_json
from training.calibration.consensus_table import Scored, table
from training.calibration.planted import planted_clips
from training.calibration.risk_coverage import draw_risk_coverage
from training.calibration.shifted_trials import GENERATED, Item, ShiftedTrial, collect_shifted, generated, read_manifest
from training.calibration.statement import cross_fitted, fit_statement, weights_of
from training.calibration.trials import FIRST_SEED
from training.config.command_options import add_seed

PLACE = asset(CONSENSUS_FILE)
SPLITS = ("train", "valid")
SEEDS_AFTER = 5000  # seeds from the first of the calibration on, that no other constants use


def fit_all(
    trials: Sequence[ShiftedTrial], grid: Sequence[float], fit_on: str, risk: float
) -> tuple[Statement, list[Scored]]:
    """The constants, and every planted clip with the probability under constants of other sources.

    Fitted are footage of one split and generated clips together; where there is no footage, these alone.

    Raises:
        ValueError: as `fit_statement`.
    """
    clips = planted_clips(trials, grid)
    fitted = [clip for clip in clips if clip.item.split in (fit_on, GENERATED)]
    recorded = {clip.item.name: clip.item.source for clip in fitted if clip.item.kind != GENERATED}
    others = len({clip.item.name for clip in fitted}) - len(recorded)
    footage = f"{len(recorded)} recorded clips of {len(set(recorded.values()))} sources and " if recorded else ""
    statement = fit_statement(fitted, f"{footage}{others} generated clips with planted offsets", risk)
    held = dict(zip(map(id, fitted), cross_fitted(fitted), strict=True))
    scored = [Scored(clip, float(held.get(id(clip), statement.probability(clip.features)))) for clip in clips]
    return statement, scored


def doubt_below(trials: Sequence[ShiftedTrial], fit_on: str) -> float | None:
    """The probability of being matched below which none of the recorded clips in sync lies, halved for those to come.

    None without such clips.
    """
    known = [trial.matched for trial in trials if trial.item.split == fit_on and trial.matched is not None]
    return round(min(known) / 2, 6) if known else None


def picture(scored: Sequence[Scored], fit_on: str, statement: Statement, path: Path) -> None:
    """Draw risk and coverage of recorded and of generated clips."""
    report = next(split for split in SPLITS if split != fit_on)
    names = {fit_on: "recorded, of the fit's split", report: "recorded, others", GENERATED: "generated"}
    groups, chance = {}, {}
    for split, name in names.items():
        rows = [each for each in scored if each.clip.item.split == split and each.clip.part == "all starts"]
        if rows:
            weights = weights_of([each.clip for each in rows])
            said: Floats = np.array([each.said for each in rows])
            groups[name] = (said, np.array([each.clip.right for each in rows]), weights)
            chance[name] = 1 - float(np.average([each.clip.permuted for each in rows], weights=weights))
    save(draw_risk_coverage(groups, statement.threshold, statement.risk, chance), path)


@command
def main(argv: list[str] | None = None) -> int:
    """Collect, fit, write and print the table; exit status 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m training.calibration.consensus", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="where the answers are kept")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--synchronizability", default="mini-synchronizability", help="the other model, for its doubt")
    parser.add_argument("--footage", type=Path, help="a folder of recorded clips in sync, with a manifest.csv")
    parser.add_argument("--fit-on", choices=SPLITS, default="train", help="which of its splits (default train)")
    parser.add_argument("--per-source", type=int, default=8, help="clips of one source at most (default 8)")
    parser.add_argument("--count", type=int, default=80, help="generated clips (default 80)")
    parser.add_argument("--risk", type=float, default=RISK, help="share of stated offsets that may be wrong")
    add_seed(parser, "the first generated clip", FIRST_SEED + SEEDS_AFTER)
    parser.add_argument("--to", type=Path, default=PLACE, help="the file of constants")
    parser.add_argument("--picture", type=Path, help="write the figure of risk and coverage")
    asked = parser.parse_args(argv)
    begin = time.perf_counter()
    model, other = load_model(asked.model, "cpu"), load_model(asked.synchronizability, "cpu")
    try:
        check_model(model, "offset")
        check_model(other, "synchronizability")
        items: list[Item] = read_manifest(asked.footage, asked.per_source) if asked.footage else []
        items += generated(range(asked.seed, asked.seed + asked.count))
        trials = collect_shifted(model, items, asked.folder, other)
        statement, scored = fit_all(trials, model.config.grid, asked.fit_on, asked.risk)
    except ValueError as error:
        parser.error(str(error))
    put_into_json(asked.to, fingerprint(model), {"statement": statement_as_dict(statement)})
    doubt = doubt_below(trials, asked.fit_on)
    if doubt is not None:
        put_into_json(asked.to, fingerprint(other), {"doubt": doubt})
    in_sync = planted_clips(trials, model.config.grid, in_sync=True)
    print(table(scored, in_sync, trials, statement, doubt))
    print(f"\nfitted on {statement.measured}; stated from {statement.threshold:.0%} on")
    print(f"took {(time.perf_counter() - begin) / 60:.1f} min, answers that were there before not counted in")
    if asked.picture:
        picture(scored, asked.fit_on, statement, asked.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
