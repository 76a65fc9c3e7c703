"""A film's dream, carried along with what moves so that it doesn't flicker; its sound is kept.

python examples/film.py [FILM]
"""

import sys

import phosphene
from phosphene.film.carry import Dreamer
from phosphene.film.kinds import Way
from phosphene.film.reel import Reel
from phosphene.film.source import look, stills
from phosphene.film.video import flows, video

facts = look(sys.argv[1] if len(sys.argv) > 1 else "holiday.mp4")
lens = phosphene.load("efficientnet_lite0")
settings = phosphene.Dream(octaves=1, steps=4, seed=1)
dreamer = Dreamer(phosphene.layer("blocks.3.2").bind(lens), lens, settings)

with Reel("film.mp4", Way.like(facts), {}, sound=facts, overwrite=True) as reel:
    for made in video(flows(stills(facts)), dreamer):
        reel.add(made.image, made.still.pts, made.still.duration, {})
        print(made.still.number, round(made.flicker.ratio, 2))
    reel.finish()
