"""The endless zoom: each frame is the dream of the last one, a little enlarged.

python examples/zoom.py [PHOTO]
"""

import sys

import phosphene
from phosphene.film.kinds import Way
from phosphene.film.motion import Motion
from phosphene.film.reel import Reel
from phosphene.film.zoom import Zoom, zoom
from phosphene.presets import ZOOM

photo = phosphene.open_picture(sys.argv[1] if len(sys.argv) > 1 else "examples/photo.jpg")
lens = phosphene.load("efficientnet_lite0")
settings = phosphene.Dream(**{**ZOOM, "max_size": 96, "seed": 1})
flight = Zoom(Motion(zoom=0.04, rotate=0.5))

frames = zoom(photo.tensor(), lens, "blocks.4.1", settings, flight, frames=12)
first = next(frames)
height, width = first.image.shape[1:]
with Reel("zoom.mp4", Way(width, height), {}, overwrite=True) as reel:
    for number, frame in enumerate([first, *frames]):
        reel.add(
            frame.image.permute(1, 2, 0).numpy(), number * 3600, 3600, {}
        )  # in ticks of 1/90000 s: 25 a second
        print(number)
    reel.finish()
