"""What decoded media are like, whatever the file says: how far up the sound reaches, and frames per second.

The nominal sample rate does not tell the former: a file of 48 kHz may hold the sound of a telephone. What counts is
where its spectrum ends.

Shape legend: n samples, B bands.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synchformer.media.probe import Media

FFT = 512  # samples of one transform
HOP = 256
BANDS = 32  # of equal width up to half the sample rate: 250 Hz at 16 kHz
REFERENCE = 500.0  # hertz: below it lies the hum of mains, beside which all else would count as nothing
FAINTEST = 10**-4.5  # a band with less than this share of the loudest one's power, 45 dB below it, is empty


class MediaCondition:
    """Learns from media that come in parts, all at one sample rate."""

    def __init__(self, sample_rate: int) -> None:
        self.fps = 0.0
        self._rate = sample_rate
        self._power = torch.zeros(BANDS, dtype=torch.float64)

    def add(self, media: Media) -> None:
        """Add a part of a file."""
        self.fps = media.info.fps
        self.add_sound(media.audio)

    def add_sound(self, audio: Tensor) -> None:
        """Add samples (n,)."""
        if len(audio) < FFT:
            return
        window = torch.hann_window(FFT)
        columns = torch.stft(audio.float(), FFT, HOP, window=window, center=False, return_complex=True)
        power = columns.abs().pow(2).double().sum(1)[1:]  # (FFT / 2,)
        self._power += power.view(BANDS, -1).sum(1)

    @property
    def bandwidth(self) -> float:
        """Where the highest band that holds sound ends, in hertz; half the sample rate while nothing was heard."""
        width = self._rate / 2 / BANDS
        loudest = float(self._power[round(REFERENCE / width) :].max())
        filled = (self._power > FAINTEST * loudest).nonzero()
        return float(filled.max() + 1) * width if loudest > 0 and len(filled) else self._rate / 2
