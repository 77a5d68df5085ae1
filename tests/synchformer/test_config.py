"""Sizes of the model against the numbers that the paper and the published code state."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, replace

import numpy as np
import pytest

from synchformer import BASE, MINI, SMALL, SynchformerConfig
from synchformer.config import PRESETS


def test_base_has_the_published_sizes() -> None:
    assert (BASE.dim, BASE.heads, BASE.video_depth, BASE.audio_depth) == (768, 12, 12, 12)
    assert (BASE.sync_dim, BASE.sync_heads, BASE.sync_depth) == (768, 8, 3)
    assert (BASE.patches_per_frame, BASE.video_steps) == (196, 8)
    assert (BASE.audio_bands, BASE.audio_steps) == (12, 6)
    assert (BASE.sequence_length, BASE.classes) == (198, 21)


def test_base_has_the_published_times() -> None:
    assert (BASE.crop_seconds, BASE.crop_samples) == (5.0, 80_000)
    assert (BASE.segment_seconds, BASE.segment_samples, BASE.samples_per_frame) == (0.64, 10_240, 640)
    assert (BASE.hop_length, BASE.window_length) == (160, 400)
    assert BASE.segment_starts == (2, 10, 18, 26, 34, 42, 50, 58, 66, 74, 82, 90, 98, 106)


def test_grid_is_the_published_one() -> None:
    np.testing.assert_allclose(BASE.grid, np.linspace(-2, 2, 21), atol=1e-9)
    assert BASE.grid[10] == 0.0
    assert BASE.offset_step == pytest.approx(0.2)
    assert BASE.chance_loss == pytest.approx(np.log(21))


@pytest.mark.parametrize(("offset", "index"), [(0.0, 10), (1.6, 18), (-2.0, 0), (2.0, 20), (0.09, 10), (0.11, 11)])
def test_offset_class(offset: float, index: int) -> None:
    assert BASE.offset_class(offset) == index


@pytest.mark.parametrize("config", [BASE, MINI, SMALL], ids=["base", "mini", "small"])
def test_synchronizability_has_13_segments_without_spare_frames(config: SynchformerConfig) -> None:
    other = config.with_head("synchronizability")
    assert (other.segments, other.classes, other.crop_frames, other.crop_samples) == (13, 2, 112, 71_680)
    assert other.crop_seconds == 4.48
    assert other.segment_starts == tuple(range(0, 97, 8))
    assert other.sequence_length == 184
    assert other.with_head("synchronizability") is other
    assert other.with_head("offset") == config


def test_mini_sees_the_same_moments_as_base() -> None:
    for name in ("segment_starts", "crop_samples", "video_steps", "audio_steps", "sequence_length", "grid"):
        assert getattr(MINI, name) == getattr(BASE, name)
    assert {"base": BASE, "mini": MINI, "small": SMALL} == PRESETS


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image_size": 100}, "image_size 100 is not a multiple of patch_size 16"),
        ({"heads": 7}, "dim 768 is not a multiple of heads 7"),
        ({"sync_heads": 7}, "sync_dim 768 is not a multiple of sync_heads 7"),
        ({"segments": 15}, "15 segments span 128 frames, more than crop_frames 125"),
        ({"short_side": 200}, "short_side 200 is smaller than image_size 224"),
        ({"head": "both"}, "head must be"),
        ({"video_fps": 30}, "sample_rate 16000 is not a multiple of video_fps 30"),
        ({"segment_frames": 15}, "segment_frames 15 is not a multiple of tubelet_frames 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(BASE, **change)


def test_every_mismatch_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"image_size 100 .*; dim 768 .*heads 7"):
        SynchformerConfig(image_size=100, heads=7)


def test_configuration_survives_a_dictionary_and_cannot_change() -> None:
    assert SynchformerConfig.from_dict(asdict(MINI)) == MINI
    with pytest.raises(FrozenInstanceError):
        MINI.dim = 3  # type: ignore[misc]


def test_unknown_keys_are_named() -> None:
    with pytest.raises(ValueError, match="unknown configuration keys widht; known keys: audio_depth"):
        SynchformerConfig.from_dict({**asdict(MINI), "widht": 3})
