"""Write generated clips and their truth.

python -m synthetic --count 10 --seed 0 --out clips
python -m synthetic --count 4 --seed 7 --events 1-1 --width 454 --out clips
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from synthetic.scene import sample_scene
from synthetic.write import write_clip


def main(argv: list[str] | None = None) -> int:
    """Write `clip_SEED.mp4` for every seed, and `truth.json` with the events of all of them."""
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
    arguments = parser.parse_args(argv)
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


if __name__ == "__main__":
    sys.exit(main())
