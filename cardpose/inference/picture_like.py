"""Convert all that a user may mean by a picture to an array."""

from os import PathLike
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from cardpose.common.errors import InputError, short_repr
from cardpose.pictures.reading import Photograph, read_photograph

Picture = UInt8[np.ndarray, "_ _ 3"]  # sizes may differ within one call
PictureLike = Picture | Photograph | Image.Image | str | PathLike[str]


def photograph(picture: Any, rgb: bool = False) -> Photograph:
    """Return the upright BGR picture that is meant, and its size. Large files are reduced.

    Args:
        picture: path of a picture file, what `read_photograph` returns, Pillow image or uint8 array
            (height, width, 3).
        rgb: whether the channels of an array are in the order red, green, blue.

    Raises:
        InputError: the file cannot be read, or `picture` is none of these.
    """
    if isinstance(picture, str | PathLike):
        return read_photograph(picture)
    if isinstance(picture, Photograph):
        return picture
    if isinstance(picture, Image.Image):
        if picture.mode[0] in "IF":  # Pillow would clip, not scale, these values
            raise InputError(f"an image should have 8 bits a channel (got mode {picture.mode})")
        try:
            picture, rgb = np.asarray(ImageOps.exif_transpose(picture).convert("RGB")), True
        except (OSError, ValueError) as error:  # Pillow decodes late
            raise InputError(f"an image cannot be read: {error}") from None
    if not isinstance(picture, np.ndarray):
        hint = ", as cv2.imread returns for a file that it cannot read" if picture is None else ""
        raise InputError(
            "a picture should be a path, a NumPy array or a Pillow image"
            f" (got {short_repr(picture)}{hint})"
        )
    shape = picture.shape
    if picture.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise InputError(
            "a picture should be a uint8 array of shape (height, width, 3)"
            f" (got {picture.dtype} of shape {shape})"
        )
    picture = np.asarray(picture)  # a masked array cannot be drawn into
    return Photograph(picture[..., ::-1] if rgb else picture, shape[1::-1], True)
