"""The page's example clips: four scenes chosen for their looks, with their truth.

python -m synthetic.examples --out assets/examples
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from synthetic.scene import Scene, sample_scene
from synthetic.write import write_clip

SEEDS = {  # from 3,000,000 on: neither trained on nor evaluated on
    "bouncing_ball": 3_000_024,
    "clap_and_lamp": 3_000_002,
    "hammer": 3_000_012,
    "snap_and_lamp": 3_000_004,
}
EVENTS = (2, 4)


def example_scenes() -> dict[str, Scene]:
    """The scenes by the name of their file."""
    return {f"{name}.mp4": sample_scene(seed, EVENTS) for name, seed in SEEDS.items()}


def main(argv: list[str] | None = None) -> int:
    """Write the four clips and `truth.json`."""
    parser = argparse.ArgumentParser(prog="python -m synthetic.examples", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips and truth.json")
    out: Path = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    scenes = example_scenes()
    for name, scene in scenes.items():
        print(write_clip(scene, out / name))
    (out / "truth.json").write_text(json.dumps({name: scene.truth() for name, scene in scenes.items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
