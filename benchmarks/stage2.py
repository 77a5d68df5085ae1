"""Stage II's samples per second: features from the cache against decoding and encoding every sample.

python -m benchmarks.stage2
python -m benchmarks.stage2 --clips 8 --samples 24

Both ways read the same generated clips and give what the synchronization module of `mini` reads. The one decodes an MP4
file and runs both encoders for every sample, as stage II without a cache must; the other reads batches of 64 from the
memory-mapped cache. What filling the cache costs is printed too, in samples decoded and encoded meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from synchformer.checkpoints.registry import load_model
from synchformer.config import SynchformerConfig
from synchformer.media.crop import load_clip
from synchformer.modeling.synchformer import Synchformer
from synthetic import SEEDS, write_clip
from synthetic.recipe import Recipe
from training.readers.feature_cache import FeatureCache
from training.readers.rendered import Renderer
from training.sampling.crops import CropPlace, draw_offset

BATCH = 64
READS = 50  # batches read from the cache


def decoded(model: Synchformer, files: list[Path], crops: list[CropPlace]) -> float:
    """Samples per second with a decoded and encoded clip for each."""
    begin, fps = perf_counter(), model.config.video_fps
    for crop in crops:
        start, offset = crop.start / fps, (crop.sound - crop.start) / fps
        clip = load_clip(files[crop.clip], start, offset, config=model.config)
        with torch.inference_mode():
            model.encode_video(clip.frames()[None])
            model.encode_audio(clip.mel()[None])
    return len(crops) / (perf_counter() - begin)


def cached(cache: FeatureCache, config: SynchformerConfig) -> float:
    """Samples per second out of the cache, drawing included."""
    rng = np.random.Generator(np.random.PCG64(1))
    begin = perf_counter()
    for _ in range(READS):
        cache.read([draw_offset(cache, config, rng) for _ in range(BATCH)], config)
    return READS * BATCH / (perf_counter() - begin)


def main(argv: list[str] | None = None) -> int:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stage2", description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=6, help="generated clips (default 6)")
    parser.add_argument("--samples", type=int, default=12, help="samples that are decoded and encoded (default 12)")
    arguments = parser.parse_args(argv)
    model, recipe = load_model("mini", "cpu"), Recipe(seed=SEEDS["benchmarks"][0], count=arguments.clips)
    config, rng = model.config, np.random.Generator(np.random.PCG64(0))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = [write_clip(recipe.scene(i), folder / f"{i}.mp4", size=(256, 256)) for i in range(recipe.count)]
        begin = perf_counter()
        clips, encoders = Renderer(recipe, config), (model.video_encoder, model.audio_encoder)
        cache = FeatureCache(folder / "cache", clips, config, *encoders, workers=0)
        filling = (perf_counter() - begin) / recipe.count
        crops = [draw_offset(cache, config, rng) for _ in range(arguments.samples)]
        slow, fast = decoded(model, files, crops), cached(cache, config)
    print(f"{torch.get_num_threads()} threads, {recipe.count} clips")
    print(f"decoding and encoding every sample: {slow:8.2f} samples/s")
    print(f"reading features from the cache:    {fast:8.1f} samples/s, {fast / slow:.0f} times as many")
    print(f"filling the cache: {filling:.2f} s a clip, rendering included, or {filling * slow:.1f} samples")
    return 0


if __name__ == "__main__":
    sys.exit(main())
