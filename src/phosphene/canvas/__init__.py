"""Canvas: a picture in windows. In memory it is one window; on disk it is read in strips of rows.

    Held   a tensor
    Disk   a file without a name: float32 [N, H, W, C], read and written in windows, never mapped
    View   what is worked out, strip by strip, whenever it is read

What the loop does to a picture it does strip by strip, so that one on disk never is in memory as a
whole. `view` and `made` give the next picture from a function of rows: of a picture in memory at
once, of one on disk when it is read, or into a new file.
"""

from phosphene.canvas.base import STRIP, Canvas, Rows
from phosphene.canvas.disk import Disk, Kept, View
from phosphene.canvas.held import Held

__all__ = ["STRIP", "Canvas", "Disk", "Held", "Kept", "Rows", "View"]
