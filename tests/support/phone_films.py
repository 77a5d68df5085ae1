"""Films as phones and cameras write them: made by ffmpeg, with boxes put in that it cannot write."""

import struct

from tests.support.ffprobe import ffmpeg, has_encoder

SECONDS = 3
VENDOR = {
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 15 Pro",
    "com.apple.quicktime.location.ISO6709": "+48.1000+011.5000/",
}
SOURCES = (
    *("-f", "lavfi", "-i", f"testsrc2=size=128x96:rate=25:duration={SECONDS}"),
    *("-f", "lavfi", "-i", f"aevalsrc='0.4*sin(1900*t+2500*t*t)':s=48000:d={SECONDS}"),
)
NO_NOISE = ("-aac_pns", "0")  # noise that a decoder makes up is other noise after every seek
SRT = "1\n00:00:00,500 --> 00:00:01,500\nHello\n\n2\n00:00:02,000 --> 00:00:02,800\nClap\n\n"


def write_phone_film(path, *options, tagged=True):
    """A film in HEVC (H.264 where ffmpeg has no x265) and AAC, with the vendor's tags; `hvc1`, as Apple wants it."""
    video = ("-c:v", "libx265", "-x265-params", "log-level=none:bframes=2", "-tag:v", "hvc1", "-pix_fmt", "yuv420p10le")
    video = video if has_encoder("libx265") else ("-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p")
    tags = [part for pair in VENDOR.items() for part in ("-metadata", "=".join(pair))] if tagged else []
    flags = ("-movflags", "+use_metadata_tags") if tagged else ()
    ffmpeg(*SOURCES, *video, "-c:a", "aac", *NO_NOISE, "-b:a", "64k", *tags, *flags, *options, path)
    return path


def write_plain_film(path, *options, video="libx264", audio="aac"):
    """A small film of these codecs."""
    ffmpeg(
        *SOURCES,
        "-c:v",
        video,
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        audio,
        *(NO_NOISE if audio == "aac" else ()),
        *options,
        path,
    )
    return path


def write_full_film(path, folder):
    """An MP4 with two sounds, two subtitles, chapters, a cover, languages and tags."""
    (folder / "a.srt").write_text(SRT)
    (folder / "chapters.txt").write_text(
        ";FFMETADATA1\ntitle=Film\nartist=Nobody\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=One\n"
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND={SECONDS * 1000}\ntitle=Two\n"
    )
    ffmpeg("-f", "lavfi", "-i", "color=red:size=32x32", "-frames:v", "1", folder / "cover.jpg")
    inputs = ("-i", folder / "a.srt", "-i", folder / "chapters.txt", "-i", folder / "cover.jpg")
    maps = ("-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "2:s", "-map", "2:s", "-map", "4:v")
    codecs = ("-c:v:0", "libx264", "-pix_fmt", "yuv420p", "-c:v:1", "copy", "-c:a", "aac", "-c:s", "mov_text")
    tracks = ((kind, index, name) for kind in "as" for index, name in enumerate(("eng", "fra")))
    languages = [part for kind, index, name in tracks for part in (f"-metadata:s:{kind}:{index}", f"language={name}")]
    cover = ("-disposition:v:1", "attached_pic", "-map_metadata", "3")
    ffmpeg(*SOURCES, *inputs, *maps, *codecs, *languages, *cover, path)
    return path


def box(kind, body):
    """A box of an ISO file."""
    return struct.pack(">I4s", len(body) + 8, kind) + body


DOLBY = box(b"dvvC", bytes([1, 0, 0x10, 0x25, 0x40]) + bytes(19))  # profile 8, level 5, compatible with HLG
SPHERE = box(
    b"sv3d", box(b"svhd", bytes(4) + b"test\0") + box(b"proj", box(b"prhd", bytes(16)) + box(b"equi", bytes(20)))
)


def put_into_picture(path, *boxes):
    """Append boxes to the first picture's sample entry of a file whose `moov` lies at its end."""
    raw = bytearray(path.read_bytes())
    stsd = raw.index(b"stsd")
    _insert(raw, stsd + 12 + struct.unpack_from(">I", raw, stsd + 12)[0], b"".join(boxes), stsd + 16)
    path.write_bytes(raw)


def rename_sound(path, number, kind):
    """Call the codec of a sound track by another name, one that FFmpeg does not know."""
    raw, place = bytearray(path.read_bytes()), -1
    for _ in range(number + 1):
        place = next(at for at in _all(raw, b"stsd") if at > place and raw[at + 16 : at + 20] == b"mp4a")
    raw[place + 16 : place + 20] = kind
    described = raw.index(b"esds", place)
    raw[described : described + 4] = b"xsds"
    path.write_bytes(raw)


def _all(raw, word):
    place = -1
    while (place := raw.find(word, place + 1)) >= 0:
        yield place


def _insert(raw, place, data, entry):
    """Put bytes into a box, and lengthen all that hold it; `entry` is where the innermost one's kind stands."""
    raw[place:place] = data
    kinds = (b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov")
    starts, at = [entry - 4], entry
    for kind in kinds:
        at = raw.rindex(kind, 0, at)
        starts.append(at - 4)
    for start in starts:
        struct.pack_into(">I", raw, start, struct.unpack_from(">I", raw, start)[0] + len(data))


def kinds_in(path):
    """Kinds of all boxes of a file that hold other boxes or are held by them, with their lengths, in order."""
    raw = path.read_bytes()
    return list(_walk(raw, 0, len(raw)))


HOLDERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta"}


def _walk(raw, start, stop):
    while start + 8 <= stop:
        length, kind = struct.unpack_from(">I4s", raw, start)
        header = 8
        if length == 1:
            length, header = struct.unpack_from(">Q", raw, start + 8)[0], 16
        if length < header:
            return
        yield kind, raw[start + header : start + length] if kind not in HOLDERS | {b"mdat"} else b""
        if kind in HOLDERS:
            yield from _walk(raw, start + header, start + length)
        start += length
