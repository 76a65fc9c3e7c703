"""Picture files: opened from anything friendly or hostile, written whole or not at all.

    picture = open_picture("photo.jpg")
    dreamed = picture.with_tensor(image)            # [1, 3, H, W] in 0..1
    notes = save_picture("dream.png", dreamed, recipe=text)
    text = read_recipe("dream.png")

Importing this imports NumPy and Pillow; libvips and torch follow when they are needed.
"""

from phosphene.picture.decode import open_picture
from phosphene.picture.encode import check_output_size, output_format, png_bytes, save_picture
from phosphene.picture.metadata import read_recipe
from phosphene.picture.picture import Picture
from phosphene.picture.raster import MAX_PIXELS
from phosphene.picture.source import shown

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "check_output_size",
    "open_picture",
    "output_format",
    "png_bytes",
    "read_recipe",
    "save_picture",
    "shown",
]
