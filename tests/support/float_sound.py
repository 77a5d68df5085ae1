"""A video whose sound is kept as 32-bit floats, so that it can hold what is no number."""

import av
import numpy as np


def write_float_sound(path, wave, rate=16_000):
    """A Matroska file with a picture that changes all the time and the samples (n,) or (channels, n) as they are."""
    wave = np.atleast_2d(wave).astype(np.float32)
    layout = {1: "mono", 2: "stereo"}[len(wave)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        audio = container.add_stream("pcm_f32le", rate=rate, layout=layout)
        for index in range(round(wave.shape[1] / rate * 25)):
            picture = np.full((96, 128, 3), 5 * index % 256, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for first in range(0, wave.shape[1], 1600):
            packed = wave[:, first : first + 1600].T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format="flt", layout=layout)
            frame.sample_rate, frame.pts = rate, first
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
    return path
