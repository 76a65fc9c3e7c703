"""Runs of a reel in processes of their own, to be killed: SOURCE, OUTPUT, seconds per still."""

import os
import sys
import time

import numpy as np
import torch

from phosphene.film.kinds import Way
from phosphene.film.reel import Reel
from phosphene.film.source import look, stills


def run(source, output, pause=0.0, resume=True):
    """Copy a film, each still a little darker by a number that goes from state to state."""
    facts = look(source)
    with Reel(output, Way.like(facts), {"source": "film"}, sound=facts, resume=resume) as reel:
        shade = 1.0 if reel.state is None else float(reel.state["shade"][0])
        for still in stills(facts, skip=reel.next):
            shade *= 0.99
            time.sleep(pause)
            pixels = (still.pixels / np.float32(255) * np.float32(shade)).astype(np.float32)
            state = {"shade": torch.tensor([shade], dtype=torch.float64), "number": still.number}
            reel.add(pixels, still.pts, still.duration, state)
        reel.finish()


def serve():
    """Run what each line of standard input says, in a process of its own that is named before it begins."""
    for line in sys.stdin:
        source, output, pause = line.split("\t")
        child = os.fork()
        if not child:
            run(source, output, float(pause))
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve()
