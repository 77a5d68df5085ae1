"""The clips of one data set that a stage trains and validates on, from its name to what batches are read from.

A data set is opened by its name (`training.datasets.registry`). Its clips are listed: generated ones by a recipe, those
on disk by an inventory of the parts that are long enough (`training.datasets.inventory`). They are checked
(`training.datasets.validation`). Then a reader (`training.readers.base`) gives crops of them, as pixels and sound or as
features; which crops, the stage draws (`training.sampling`), and `training.trainer` makes batches and steps of them.
"""

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
from synthetic.recipe import Recipe
from training.augmentation.policy import Change
from training.config.stage_config import StageConfig
from training.datasets.generated import GeneratedSource
from training.datasets.inventory import ClipPart, Inventory, build_inventory
from training.datasets.registry import SourceOptions, open_source
from training.datasets.source import LeftOut, Source
from training.datasets.validation import check_source, require_usable, spread, table
from training.readers.base import WholeClips
from training.readers.damaged_clips import require_few_damaged
from training.readers.feature_cache import FeatureCache
from training.readers.pixel_reader import PixelReader
from training.readers.rendered import RenderedClips, Renderer
from training.readers.video_files import DAMAGED, VideoFiles
from training.runtime.distributed import CPU

Split = Literal["train", "valid"]
FOLDERS: dict[Split, str] = {"train": "train", "valid": "held-out"}
GENERATED: dict[Split, int] = {"train": 1000, "valid": 60}  # clips, where no number is asked for
INVENTORY = "roll"  # folder; earlier runs have it under this name
FEW = 1000  # clips that one process looks into in seconds
SHOWN = 5  # clips that are named on the screen; the file names all


class SourceData:
    """One data set, for one stage."""

    def __init__(self, request: StageConfig, name: str, leads: bool = True, folder: str = "") -> None:
        """Open a data set; the process that `leads` writes down what is left out.

        Args:
            request: what the stage is asked to do.
            name: of the data set.
            leads: whether this process writes.
            folder: of its own, in which the data sets of a mixture are kept apart; empty for a data set by itself.

        Raises:
            ValueError: when there is none of that name.
        """
        self.stage, self.request, self.name, self.leads, self.folder = request.stage, request, name, leads, folder
        self.source = self._open()
        self.generated = self.source.is_generated

    def _open(self) -> Source:
        request = self.request
        generated = GeneratedSource(
            train=request.count or GENERATED["train"],
            valid=request.held_out or GENERATED["valid"],
            test=0,
            without=request.without,
        )
        return open_source(self.name, SourceOptions(request.annotations, generated))

    # Which clips

    @property
    def count(self) -> int:
        """Clips to train on."""
        return self.count_of("train")

    def count_of(self, split: Split) -> int:
        """Clips of a split."""
        return self._recipe(split).count if self.generated else len(self._parts(split, self.min_frames(split)))

    def min_frames(self, split: Split) -> int:
        """Frames of the shortest clip that the stage can use.

        Stage I trains on every clip that holds two segments, which then repel each other, and validates on whole rows.
        """
        config = self.request.config
        if self.stage == "avclip":
            return (2 if split == "train" else segment_count(config)) * config.segment_frames
        if self.stage == "synchronizability":  # a clip without room for sound of elsewhere would always be class 1
            return 2 * config.with_head("synchronizability").span_frames
        return config.span_frames

    def _recipe(self, split: Split) -> Recipe:
        recipe = self.source.recipe(split)
        assert recipe is not None, "only generated clips have one"
        return recipe

    @cached_property
    def _inventories(self) -> dict[Split, Inventory]:
        """What was found in the files of a data set on disk, kept for the next start."""
        request = self.request
        name = folder_name(self.name)
        inventory_of = partial(
            build_inventory, self.source, config=request.config, folder=request.out / INVENTORY / name
        )
        return {split: inventory_of(split, workers=self._probe_workers) for split in FOLDERS}

    @property
    def _probe_workers(self) -> int:
        """Processes that look into clips: none of their own where they would start longer than they work."""
        listed = 0 if self.generated else sum(len(self.source.samples(split)) for split in FOLDERS)
        return self.request.workers if listed > FEW else 0

    def _parts(self, split: Split, min_frames: int) -> list[ClipPart]:
        """The clips of a split on disk, as many as are asked for, spread evenly over it.

        Raises:
            ValueError: when there is none.
        """
        parts = self._inventories[split].parts(min_frames)
        if not parts:
            wanted = "train" if split == "train" else "validate"
            listed = len(self.source.samples(split))
            why = f"none of its {listed} {split} clips can be used" if listed else f"it has no {split} clips"
            seconds = min_frames / self.request.config.video_fps
            raise ValueError(
                f"there is nothing to {wanted} on in {self.name}: {why}; the stage {self.stage} needs clips of "
                f"{seconds:.2f} s; a folder needs subfolders train and valid, or enough recordings for a tenth of them "
                "to be valid"
            )
        return spread(parts, self.request.count if split == "train" else self.request.held_out)

    # Whether they are fit for training

    def check(self) -> str:
        """Look at the data before training on it, and write down what is left out; returns a table of the findings.

        Raises:
            ValueError: when something is wrong and `unchecked` is not asked for, or no clip is left.
        """
        request = self.request
        if request.unchecked:
            findings = table(check_source(self.source, request.config, workers=self._probe_workers))
        else:
            try:
                findings = require_usable(self.source, request.config, workers=self._probe_workers)
            except ValueError as error:
                raise ValueError(f"{error}\nMend that, or train on what is usable of it with --unchecked.") from error
        if not self.generated:
            self._report("left-out.csv", "left out", self._left_out)
        return f"{self.name}: {self.count} clips to train on, {self.count_of('valid')} to validate on\n\n{findings}\n"

    @property
    def _left_out(self) -> list[LeftOut]:
        listed = [item for item in self.source.left_out if item.split != "test"]
        return listed + [
            item for split in FOLDERS for item in self._inventories[split].left_out(self.min_frames(split))
        ]

    def _report(self, name: str, what: str, items: Sequence[LeftOut]) -> None:
        """Name the first clips on the screen, and all of them in a file."""
        if not self.leads:
            return
        path = self._kept(self.stage) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if not items:
            return
        write_csv(path, items)
        for item in items[:SHOWN]:
            tqdm.write(f"{what}: {item.id} ({item.split or 'no split'}): {item.reason}")
        tqdm.write(f"{what}: {len(items)} in all, listed in {path}")

    # How crops of them are read

    def pixels(self) -> tuple[PixelReader, PixelReader]:
        """Clips to train and to validate on, read as pixels and sound; generated ones are rendered first."""
        return self._rendered() if self.generated else self._video_files()

    def _rendered(self) -> tuple[RenderedClips, RenderedClips]:
        request, change = self.request, self._change
        full = "-whole" if change.sees_all else ""
        train, valid = (
            RenderedClips(
                self._kept("clips") / f"{FOLDERS[split]}{full}",
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

    def _video_files(self) -> tuple[VideoFiles, VideoFiles]:
        request = self.request
        train, valid = (
            VideoFiles(
                self.source,
                self._parts(split, self.min_frames(split)),
                request.config,
                self._change,
                self._kept(self.stage) / DAMAGED,
            )
            for split in FOLDERS
        )
        return train, valid

    @property
    def _change(self) -> Change:
        """What training changes at random about pixels and sound."""
        settings: str = {"unimodal": "none", "baseline": "sync"}.get(self.stage, self.stage)
        if self.stage == "avclip" and self.name.startswith("lrs3:"):
            settings = "avclip-lrs3"
        return Change.named(self.request.augment, settings, self.request.changes)

    def features(self, video: nn.Module, audio: nn.Module) -> tuple[FeatureCache, FeatureCache]:
        """Clips to train and to validate on, read as features; frozen encoders compute those that are missing first.

        Raises:
            TooManyDamagedError: when many of the clips cannot be read.
        """
        request = self.request
        encode = partial(
            FeatureCache,
            config=request.config,
            video_encoder=video,
            audio_encoder=audio,
            workers=request.workers,
            seed=request.options.seed,
            min_frames=0 if self.generated else self.min_frames("valid"),
            device=encoding_device(request.device),
            precision=request.options.precision,
        )
        frames = self._change.settings.jitter * request.config.video_fps if request.augment == "published" else 0
        train = encode(
            self._feature_folder("train"), self._whole_clips("train"), views=request.views, jitter=int(frames)
        )
        valid = encode(self._feature_folder("valid"), self._whole_clips("valid"))
        if not self.generated:
            self._report("damaged.csv", "damaged", [*self._lost("train", train), *self._lost("valid", valid)])
            for cache in (train, valid):
                require_few_damaged(cache.unreadable, len(cache.clips), request.out / self.stage / "damaged.csv")
        return train, valid

    def _kept(self, what: str) -> Path:
        """The folder of the run in which something is kept, this data set's own where there are several."""
        return self.request.out / what / self.folder

    def _feature_folder(self, split: Split) -> Path:
        return self._kept("features") / FOLDERS[split]

    def _whole_clips(self, split: Split) -> WholeClips:
        """The clips of a split to encode, the same for both stages that read features."""
        config = self.request.config
        if self.generated:
            return Renderer(self._recipe(split), config, full_frame=split == "train" and self.request.views > 1)
        return VideoFiles(self.source, self._parts(split, config.span_frames), config)

    def _lost(self, split: Split, cache: FeatureCache) -> list[LeftOut]:
        parts = self._parts(split, self.request.config.span_frames)
        return [LeftOut(parts[clip].sample.id, split, reason) for clip, reason in cache.lost.items()]


def folder_name(name: str) -> str:
    """A data set's name as that of a folder."""
    return "".join(letter if letter.isalnum() else "-" for letter in name)[-60:]


def encoding_device(name: str) -> torch.device:
    """Where features are computed: this process's GPU, unless there is none or the CPU is asked for."""
    on_gpu = name != "cpu" and torch.cuda.is_available()
    return torch.device(name if name.startswith("cuda:") else "cuda") if on_gpu else CPU
