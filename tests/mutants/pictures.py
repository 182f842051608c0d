"""Mutants of the room `pictures`."""

from mutants import Mutant

_LIMITS = "tests/pictures/test_decoders_limits.py"
_TESTS = "tests/pictures/test_letterbox.py"

MUTANTS = [
    Mutant(
        "fitted pictures keep no margin",
        "cardpose/pictures/letterbox.py",
        "return fractions * scale + margin",
        "return fractions * scale",
        _TESTS,
    ),
    Mutant(
        "unit pixels follow the shorter side",
        "cardpose/pictures/letterbox.py",
        "sizes.max(axis=-1, keepdims=True, initial=1)",
        "sizes.min(axis=-1, keepdims=True, initial=9999)",
        _TESTS,
    ),
    Mutant(
        "half of a recording's frames are not enough for a near duplicate",
        "cardpose/pictures/duplicates.py",
        "shares[alike] >= _SHARE",
        "shares[alike] > _SHARE",
        "tests/pictures/test_duplicates.py",
    ),
    Mutant(
        "pixels that a JPEG lacks are invented",
        "cardpose/pictures/reading.py",
        "not np.array_equal(pixels, again)",
        "False",
        _LIMITS,
    ),
    Mutant(
        "a JPEG of any number of scans is decoded",
        "cardpose/pictures/reading.py",
        "    if scans > most:",
        "    if False:",
        _LIMITS,
    ),
    Mutant(
        "a comment with a wrong checksum spoils a PNG",
        "cardpose/pictures/formats.py",
        "kind[:1].isupper() or (_is_kept(kind, data) and _has_checksum(chunk))",
        "True",
        _LIMITS,
    ),
    Mutant(
        "frames of any size are decoded",
        "cardpose/pictures/videos.py",
        "        stream.codec_context.options = _LIMIT",
        "        stream.codec_context.options = {}",
        "tests/pictures/test_decoding.py -k become_too_large",
    ),
    Mutant(
        "the size of a reduced picture is that of its pixels",
        "cardpose/pictures/reading.py",
        "    if factor == 1 or size is None:",
        "    if True:",
        _LIMITS,
    ),
    Mutant(
        "a written video has another matrix than it says",
        "cardpose/pictures/writing.py",
        "    codec.colorspace, codec.color_range = _BT601,",
        "    codec.colorspace, codec.color_range = 1,",
        "tests/pictures/test_writing.py -k colours",
    ),
    Mutant(
        "written colours are rounded down",
        "cardpose/pictures/writing.py",
        "interpolation=_ACCURATE",
        "interpolation=Interpolation.BICUBIC",
        "tests/pictures/test_writing.py -k grey",
    ),
    Mutant(
        "the number of cores changes a video",
        "cardpose/pictures/writing.py",
        "    codec.thread_count = 1",
        "    codec.thread_count = 0",
        "tests/pictures/test_writing.py -k cores",
    ),
    Mutant(
        "a video of an odd size gets a black edge",
        "cardpose/pictures/writing.py",
        '"edge")',
        '"constant")',
        "tests/pictures/test_writing.py -k odd",
    ),
    Mutant(
        "a browser has to load the whole video first",
        "cardpose/pictures/writing.py",
        '{"movflags": "+faststart"}',
        "{}",
        "tests/pictures/test_writing.py -k loads",
    ),
    Mutant(
        "the last frames of a video are lost",
        "cardpose/pictures/writing.py",
        "            container.mux(stream.encode())\n",
        "            pass\n",
        "tests/pictures/test_writing.py -k place",
    ),
    Mutant(
        "a frame rate is rounded",
        "cardpose/pictures/writing.py",
        "Fraction(rate).limit_denominator(_MOST_TICKS)",
        "Fraction(round(rate))",
        "tests/pictures/test_writing.py -k rate",
    ),
    Mutant(
        "a full disk is a bug",
        "cardpose/pictures/writing.py",
        "except av.error.FFmpegError",
        "except av.error.EOFError",
        "tests/pictures/test_writing.py -k disk",
    ),
    Mutant(
        "a video's name may be an address",
        "cardpose/pictures/writing.py",
        "Path(path).absolute()",
        "str(path)",
        "tests/pictures/test_writing.py -k address",
    ),
]
