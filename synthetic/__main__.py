"""Write generated clips and their truth, or a film whose sound is off.

python -m synthetic --count 10 --seed 0 --out clips
python -m synthetic --count 4 --seed 7 --events 1-1 --width 454 --out clips
python -m synthetic --film 80 --offset -0.3 --drift 600 --out films       # a film.mkv whose sound drifts
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from synthetic.film import FIRST_SEED, write_film
from synthetic.scene import sample_scene
from synthetic.write import write_clip


def main(argv: list[str] | None = None) -> int:
    """Write `clip_SEED.mp4` for every seed, or `film.mkv`, and `truth.json` with events or offset."""
    parser = argparse.ArgumentParser(prog="python -m synthetic", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1, help="number of clips (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first clip; the others follow (default 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips and truth.json")
    parser.add_argument(
        "--events", default="1-4", help="fewest-most events per clip that are seen and heard (default 1-4)"
    )
    parser.add_argument("--duration", type=float, default=10.0, help="seconds (default 10)")
    parser.add_argument("--height", type=int, default=256, help="pixels, even (default 256)")
    parser.add_argument("--width", type=int, default=340, help="pixels, even (default 340)")
    parser.add_argument("--film", type=float, metavar="SECONDS", help="a film of that length instead of clips")
    parser.add_argument("--offset", type=float, default=0.0, help="of a film's sound at its start; above 0 it is early")
    parser.add_argument("--drift", type=float, default=0.0, help="of a film's sound, in ms a minute (default 0)")
    arguments = parser.parse_args(argv)
    if arguments.film is not None:
        return _film(parser, arguments)
    low, _, high = arguments.events.partition("-")
    if not (low.isdecimal() and (high or low).isdecimal()):
        parser.error(f"--events must be a range such as 1-4, not {arguments.events!r}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    truths = {}
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        try:
            scene = sample_scene(seed, (int(low), int(high or low)), arguments.duration)
            path = write_clip(scene, arguments.out / f"clip_{seed:06d}.mp4", (arguments.height, arguments.width))
        except ValueError as error:
            parser.error(str(error))
        truths[path.name] = scene.truth()
        (arguments.out / "truth.json").write_text(json.dumps(truths, indent=1))
        print(f"{path}: {len(scene.events)} events")
    return 0


def _film(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    start, slope, size = arguments.offset, arguments.drift / 60_000, (arguments.height, arguments.width)
    arguments.out.mkdir(parents=True, exist_ok=True)
    seed = FIRST_SEED + arguments.seed
    try:
        path = write_film(arguments.out / "film.mkv", arguments.film, lambda t: start + slope * t, seed=seed, size=size)
    except ValueError as error:
        parser.error(str(error))
    truth = {path.name: {"seconds": arguments.film, "offset": start, "drift_ms_per_minute": arguments.drift}}
    (arguments.out / "truth.json").write_text(json.dumps(truth, indent=1))
    print(f"{path}: offset {start:+g} s at first (above 0 the sound is early), {arguments.drift:+g} ms a minute")
    return 0


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # ends quietly when nobody reads on, as in `| head`
    sys.exit(main())
