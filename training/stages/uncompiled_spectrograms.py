"""Spectrograms within what `torch.compile` compiles."""

from __future__ import annotations

import torch

from synchformer.media.preprocess import mel_spectrogram

spectrograms = torch.compiler.disable(mel_spectrogram)
"""`mel_spectrogram`, kept out of compiled graphs: there is no code for complex numbers in them, and tracing would build
the mel filters anew, on the CPU, in every step."""
