"""The page's example clips: four scenes chosen for their looks and because `mini` reads them, one that none can read.

The last one cannot be synchronized. All come with their truth.

python -m synthetic.examples --out assets/examples
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from synthetic.scene import Scene, sample_scene
from synthetic.write import write_clip

SCENES = {  # of `synthetic.seeds.SEEDS["examples"]`: no weights were shaped on them
    "falling_block": 3_000_040,
    "clap_and_lamp": 3_000_002,
    "hammer": 3_000_032,
    "snap_and_lamp": 3_000_004,
}
EVENTS = (2, 4)

# A ball bounces four times, and what is heard are two switches and a clap of another scene, at other times.
WRONG_SOUND = "wrong_sound"
PICTURE, SOUND = 3_000_248, 3_000_401
UNRELATED_EVENTS = (3, 4)


def example_scenes() -> dict[str, Scene]:
    """The scenes by the name of their file."""
    scenes = {name: sample_scene(seed, EVENTS) for name, seed in SCENES.items()}
    scenes[WRONG_SOUND] = with_sound_of(sample_scene(PICTURE, UNRELATED_EVENTS), sample_scene(SOUND, UNRELATED_EVENTS))
    return {f"{name}.mp4": scene for name, scene in scenes.items()}


def with_sound_of(picture: Scene, sound: Scene) -> Scene:
    """The picture of one scene with the sound of another: no event is both seen and heard, and the truth says so."""
    seen = [replace(event, heard=False, loudness=0.0) for event in picture.events if event.seen]
    heard = [replace(event, seen=False, x=None, y=None) for event in sound.events if event.heard]
    return replace(picture, events=tuple(sorted(seen + heard, key=lambda event: event.time)), room=sound.room)


def main(argv: list[str] | None = None) -> int:
    """Write the clips and `truth.json`."""
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
