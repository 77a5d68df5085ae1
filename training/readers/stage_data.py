"""The clips that a stage trains and validates on: opened by the name of their data set, checked, read or encoded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from tqdm import tqdm

from synchformer.modeling.segment_avclip import segment_count
from synchformer.storage.csv_rows import write_csv
from training.augmentation.policy import Change
from training.config.names import Stage
from training.config.request import StageConfig
from training.datasets.generated import GeneratedSource
from training.datasets.inventory import Inventory, Piece, build_inventory
from training.datasets.recipe import Recipe
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import LeftOut, Source
from training.datasets.validation import check_source, require_usable, spread, table
from training.readers.base import WholeClips
from training.readers.feature_cache import FeatureCache
from training.readers.pixel_reader import PixelReader
from training.readers.rendered import RenderedClips, Renderer
from training.readers.video_files import DAMAGED, VideoFiles
from training.runtime.distributed import CPU

Split = Literal["train", "valid"]
FOLDERS: dict[Split, str] = {"train": "train", "valid": "held-out"}
GENERATED: dict[Split, int] = {"train": 1000, "valid": 60}  # clips, where no number is asked for
FEW = 1000  # clips that one process looks into in seconds
TOLD = 5  # clips that are named on the screen; the file names all


class StageData:
    """What a command's `--data` names, for one stage."""

    def __init__(self, stage: Stage, request: StageConfig, leads: bool = True) -> None:
        """Open the data set; the process that `leads` writes down what is left out.

        Raises:
            ValueError: when there is none of that name, or it does not suit the stage.
        """
        self.stage, self.request, self.leads = stage, request, leads
        self.source = self._open()
        self.generated = self.source.is_generated
        if stage == "unimodal" and not self.generated:
            raise ValueError(
                f"--data {request.data}: the unimodal stage needs to be told what happens when, which only generated "
                "clips do; give synthetic:SEED, or start encoders from --audio-init and --video-init in stage I"
            )

    def _open(self) -> Source:
        request = self.request
        generated = GeneratedSource(
            train=request.count or GENERATED["train"],
            valid=request.held_out or GENERATED["valid"],
            test=0,
            without=request.without,
        )
        source = open_source(request.data, SourceOptions(request.annotations, generated))
        if not source.is_generated and (request.without or request.resident):
            asked = "--without leaves out kinds of events" if request.without else "--resident keeps clips in memory"
            raise ValueError(f"{asked}, and {request.data} has no generated clips; leave it out")
        return source

    def check(self) -> str:
        """Look at the data before training on it, and write down what is left out; returns the table of what was found.

        Raises:
            ValueError: when something is wrong and `unchecked` is not asked for, or no clip is left.
        """
        request = self.request
        if request.unchecked:
            found = table(check_source(self.source, request.config, workers=self._lookers))
        else:
            try:
                found = require_usable(self.source, request.config, workers=self._lookers)
            except ValueError as error:
                raise ValueError(f"{error}\nMend that, or train on what is usable of it with --unchecked.") from error
        if not self.generated:
            self._tell("left-out.csv", "left out", self._left_out)
        return f"{request.data}: {self.count} clips to train on, {self._count('valid')} to validate on\n\n{found}\n"

    @property
    def _lookers(self) -> int:
        """Processes that look into clips: none of their own where they would start longer than they work."""
        listed = 0 if self.generated else sum(len(self.source.samples(split)) for split in FOLDERS)
        return self.request.workers if listed > FEW else 0

    @property
    def count(self) -> int:
        """Clips to train on."""
        return self._count("train")

    def _count(self, split: Split) -> int:
        return self._recipe(split).count if self.generated else len(self._pieces(split, self.min_frames))

    @property
    def min_frames(self) -> int:
        """Frames of the shortest clip that the stage can use."""
        config = self.request.config
        if self.stage == "avclip":
            return segment_count(config) * config.segment_frames
        if self.stage == "synchronizability":  # a clip without room for sound of elsewhere would always be class 1
            return 2 * config.with_head("synchronizability").span_frames
        return config.span_frames

    # Generated clips

    def _recipe(self, split: Split) -> Recipe:
        recipe = self.source.recipe(split)
        assert recipe is not None, "only generated clips have one"
        return recipe

    def pools(self) -> tuple[RenderedClips, RenderedClips]:
        """Generated clips to train and to validate on, rendered where they were not yet."""
        request, change = self.request, self._change
        whole = "-whole" if change.settings.random_crop else ""
        train, valid = (
            RenderedClips(
                request.out / "clips" / f"{FOLDERS[split]}{whole}",
                self._recipe(split),
                request.config,
                request.workers,
                change,
            )
            for split in FOLDERS
        )
        if request.resident:
            train.keep_on_device(encoding_device(request.device))
        return train, valid

    # Clips on disk

    @cached_property
    def _inventories(self) -> dict[Split, Inventory]:
        request = self.request
        name = "".join(letter if letter.isalnum() else "-" for letter in request.data)[-60:]
        call = partial(build_inventory, self.source, config=request.config, folder=request.out / "roll" / name)
        return {split: call(split, workers=self._lookers) for split in FOLDERS}

    def _pieces(self, split: Split, min_frames: int) -> list[Piece]:
        """The clips of a split, as many as are asked for, spread evenly over it.

        Raises:
            ValueError: when there is none.
        """
        pieces = self._inventories[split].pieces(min_frames)
        if not pieces:
            wanted = "train" if split == "train" else "validate"
            listed = len(self.source.samples(split))
            why = f"none of its {listed} {split} clips can be used" if listed else f"it has no {split} clips"
            seconds = min_frames / self.request.config.video_fps
            raise ValueError(
                f"there is nothing to {wanted} on in {self.request.data}: {why}; the stage {self.stage} needs clips of "
                f"{seconds:.2f} s; a folder needs subfolders train and valid, or enough recordings for a tenth of them "
                "to be valid"
            )
        return spread(pieces, self.request.count if split == "train" else self.request.held_out)

    @property
    def _left_out(self) -> list[LeftOut]:
        listed = [item for item in self.source.left_out if item.split != "test"]
        return listed + [item for split in FOLDERS for item in self._inventories[split].left_out(self.min_frames)]

    def _tell(self, name: str, what: str, items: Sequence[LeftOut]) -> None:
        """Name the first clips on the screen, and all of them in a file."""
        if not self.leads:
            return
        path = self.request.out / self.stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if not items:
            return
        write_csv(path, items)
        for item in items[:TOLD]:
            tqdm.write(f"{what}: {item.id} ({item.split or 'no split'}): {item.reason}")
        tqdm.write(f"{what}: {len(items)} in all, listed in {path}")

    # What the stages read

    @property
    def _change(self) -> Change:
        settings: str = {"unimodal": "none", "baseline": "sync"}.get(self.stage, self.stage)
        if self.stage == "avclip" and self.request.data.startswith("lrs3:"):
            settings = "avclip-lrs3"
        return Change.named(self.request.augment, settings)

    def pixels(self) -> tuple[PixelReader, PixelReader]:
        """Clips to train and to validate on, read as pixels and samples."""
        if self.generated:
            return self.pools()
        request = self.request
        train, valid = (
            VideoFiles(
                self.source,
                self._pieces(split, self.min_frames),
                request.config,
                self._change,
                request.out / self.stage / DAMAGED,
            )
            for split in FOLDERS
        )
        return train, valid

    def features(self, video: nn.Module, audio: nn.Module) -> tuple[FeatureCache, FeatureCache]:
        """Clips to train and to validate on, encoded by frozen encoders where they were not yet."""
        request = self.request
        published = request.augment == "published"
        encode = partial(
            FeatureCache,
            config=request.config,
            video_encoder=video,
            audio_encoder=audio,
            workers=request.workers,
            seed=request.options.seed,
            min_frames=0 if self.generated else self.min_frames,
            device=encoding_device(request.device),
            precision=request.options.precision,
        )
        jitter = int(self._change.settings.jitter * request.config.video_fps)
        train = encode(
            self._place("train"), self._whole("train"), views=request.views, jitter=jitter if published else 0
        )
        valid = encode(self._place("valid"), self._whole("valid"))
        if not self.generated:
            caches: dict[Split, FeatureCache] = {"train": train, "valid": valid}
            self._tell("damaged.csv", "damaged", [item for split in FOLDERS for item in self._lost(split, caches)])
        return train, valid

    def _place(self, split: Split) -> Path:
        return self.request.out / "features" / FOLDERS[split]

    def _whole(self, split: Split) -> WholeClips:
        """The clips of a split to encode, the same for both stages that read features."""
        request = self.request
        if self.generated:
            return Renderer(self._recipe(split), request.config, full_frame=split == "train" and request.views > 1)
        return VideoFiles(self.source, self._pieces(split, request.config.span_frames), request.config)

    def _lost(self, split: Split, caches: dict[Split, FeatureCache]) -> list[LeftOut]:
        pieces = self._pieces(split, self.request.config.span_frames)
        return [LeftOut(pieces[clip].sample.id, split, reason) for clip, reason in caches[split].lost.items()]


def encoding_device(name: str) -> torch.device:
    """Where features are computed: this process's GPU, unless there is none or the CPU is asked for."""
    return torch.device("cuda") if name != "cpu" and torch.cuda.is_available() else CPU
