"""HEIC files, put together from the one picture in tests/files/corner.heic."""

import struct

from films import FILES

CORNER = (FILES / "corner.heic").read_bytes()
WIDTH, HEIGHT = 128, 64
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"  # name of transparency


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind, *parts, version=0):
    return box(kind, struct.pack(">I", version << 24), *parts)


def ispe(width, height):
    return full_box(b"ispe", struct.pack(">II", width, height))


def irot(quarters):
    """A turn, counterclockwise."""
    return box(b"irot", bytes([quarters]))


def imir(axis):
    """A mirror: 0 swaps top and bottom, 1 left and right."""
    return box(b"imir", bytes([axis]))


def pasp(width, height):
    return box(b"pasp", struct.pack(">II", width, height))


def clap(width, height):
    """A crop of the middle."""
    return box(b"clap", struct.pack(">8I", width, 1, height, 1, 0, 1, 0, 1))


def exif(orientation):
    """The data of an EXIF item with one tag."""
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return bytes(4) + tiff


def heic(
    *properties, size=(WIDTH, HEIGHT), tiles=None, orientation=None, before=b"", transparent=False
):
    """A HEIC file.

    Args:
        properties: boxes that the shown picture has besides its size.
        size: width and height that the shown picture claims.
        tiles: (columns, rows) of a grid, every tile of which is the picture of corner.heic.
        orientation: value of an EXIF tag.
        before: boxes between ftyp and meta.
        transparent: show the first tile, whose transparency is the grid.
    """
    hvcc, coded = _part(b"hvcC"), _part(b"mdat")[8:]
    columns, rows = tiles or (1, 1)
    stored = columns * rows
    items, references = [(b"hvc1", coded)] * stored, b""
    properties_of_item = {i: [hvcc, ispe(WIDTH, HEIGHT)] for i in range(1, stored + 1)}
    shown = 1
    if tiles:
        items.append((b"grid", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)))
        shown = stored + 1
        references += box(b"dimg", struct.pack(f">{stored + 2}H", shown, stored, *range(1, shown)))
    properties_of_item[shown] = [*([] if tiles else [hvcc]), ispe(*size), *properties]
    if orientation is not None:
        items.append((b"Exif", exif(orientation)))
        references += box(b"cdsc", struct.pack(">HHH", len(items), 1, shown))
    if transparent:
        properties_of_item[shown].append(full_box(b"auxC", ALPHA))
        references += box(b"auxl", struct.pack(">HHH", shown, 1, 1))
        shown = 1
    ftyp = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(ftyp + before) + len(_meta(items, shown, properties_of_item, references, 0)) + 8
    meta = _meta(items, shown, properties_of_item, references, start)
    return ftyp + before + meta + box(b"mdat", *(content for _, content in items))


def _part(kind):
    """A box of corner.heic, found by its name."""
    at = CORNER.index(kind) - 4
    return CORNER[at : at + int.from_bytes(CORNER[at : at + 4])]


def _meta(items, shown, properties_of_item, references, start):
    numbers = range(1, len(items) + 1)
    entries = [
        full_box(b"infe", struct.pack(">HH4sB", i, 0, kind, 0), version=2)
        for i, (kind, _) in zip(numbers, items, strict=True)
    ]
    extents = b""
    for i, (_, content) in zip(numbers, items, strict=True):
        extents += struct.pack(">HHHII", i, 0, 1, start, len(content))
        start += len(content)
    properties = list(dict.fromkeys(each for own in properties_of_item.values() for each in own))
    links = b""
    for item, own in properties_of_item.items():
        links += struct.pack(">HB", item, len(own))
        for each in own:
            essential = each[4:8] not in (b"ispe", b"pasp")
            links += struct.pack(">H", properties.index(each) + 1 | essential << 15)
    return full_box(
        b"meta",
        full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", struct.pack(">H", shown)),
        full_box(b"iloc", b"\x44\0", struct.pack(">H", len(items)), extents),
        full_box(b"iinf", struct.pack(">H", len(items)), *entries),
        full_box(b"iref", references) if references else b"",
        box(
            b"iprp",
            box(b"ipco", *properties),
            box(b"ipma", struct.pack(">II", 1, len(properties_of_item)), links),
        ),
    )
