"""Watch: the studio's live view of a dream, for a notebook's cell.

phosphene.watch(phosphene.dream(photo.tensor(), "blocks.4.1", lens))
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from PIL import Image

from phosphene.errors import PhospheneError
from phosphene.frame import Frame

RATE = 0.1  # s between two pictures, at least
PATIENCE = 2.0  # s until the next one is sent all the same: a kernel that is busy hears of nothing drawn
LONGEST = 1024  # px
SCORES = 200
HERE = Path(__file__).parent


class Watch(anywidget.AnyWidget):
    """Runs `frames` in a thread and shows the newest; the cell is done at once.

    The next picture is sent when the last one was drawn, so nothing piles up. In the page, or by
    `pause()`, `resume()` and `stop()`, it is held or ended within a step; `close()` ends it too.
    """

    _esm = HERE / "view.js"
    _css = HERE / "view.css"
    jpeg = traitlets.Bytes(b"").tag(sync=True)
    before = traitlets.Bytes(b"").tag(sync=True)
    progress = traitlets.Dict({}).tag(sync=True)
    scores: Any = traitlets.List([]).tag(sync=True)
    state = traitlets.Unicode("running").tag(sync=True)  # paused, stopped, done, failed
    error = traitlets.Unicode("").tag(sync=True)

    def __init__(self, frames: Iterator[Frame]) -> None:
        super().__init__()
        self._frames = frames
        self._last: Frame | None = None
        self._fault: BaseException | None = None
        self._changing = threading.RLock()  # the state
        self._going, self._stopped, self._drawn = threading.Event(), threading.Event(), threading.Event()
        self._going.set()
        self._drawn.set()
        self.on_msg(self._heard)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def frame(self) -> Frame | None:
        """The newest frame; of a dream that failed, the last good one."""
        return self._last

    def wait(self, timeout: float | None = None) -> Frame:
        """The last frame, when it has ended; raises what ended it, and TimeoutError.

        Interrupting the kernel meanwhile stops the dream.
        """
        try:
            self._thread.join(timeout)
        except KeyboardInterrupt:
            self.stop()
            raise
        if self._thread.is_alive():
            raise TimeoutError(f"it still dreams after {timeout} s")
        if self._fault is not None:
            raise self._fault
        assert self._last is not None
        return self._last

    def pause(self) -> None:
        """Hold it after this step."""
        with self._changing:
            if self.state == "running":
                self._going.clear()
                self.state = "paused"

    def resume(self) -> None:
        """Go on."""
        with self._changing:
            if self.state == "paused":
                self.state = "running"
            self._going.set()

    def stop(self) -> None:
        """End it after this step; what there is stays."""
        self._stopped.set()
        self._going.set()

    def close(self) -> None:
        """End it, and leave the page."""
        self.stop()
        super().close()

    def _heard(self, _widget: Any, message: Any, _buffers: Any) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "drawn":
            self._drawn.set()
        elif kind in ("pause", "resume", "stop"):
            getattr(self, kind)()

    def _run(self) -> None:
        sent = 0.0
        scores: list[float] = []
        try:
            for frame in self._frames:
                if self._last is None:
                    self.before = _before(frame)
                self._last = frame
                scores.append(float(frame.score.flatten()[0]))
                if len(scores) > SCORES:
                    del scores[1::2]
                if time.monotonic() - sent > (RATE if self._drawn.is_set() else PATIENCE):
                    self._show(frame, scores)
                    sent = time.monotonic()
                self._going.wait()
                if self._stopped.is_set():
                    break
            state = "stopped" if self._stopped.is_set() else "done"
            if self._last is None:
                raise PhospheneError("E_PARAM", "there are no frames to watch; give what dream() returns")
            self._show(self._last, scores)
        except Exception as error:
            self._fault, state = error, "failed"
            line = " ".join(str(error).split())
            self.error = f"{getattr(error, 'code', type(error).__name__)}: {line}"
            if self._last is not None:
                self._show(self._last, scores)
        finally:
            if isinstance(self._frames, Generator):
                self._frames.close()
        with self._changing:
            self.state = state

    def _show(self, frame: Frame, scores: list[float]) -> None:
        self._drawn.clear()
        height, width = frame.photo.size
        with self.hold_sync():
            self.scores = list(scores)
            self.progress = {
                "octave": frame.octave + 1,
                "octaves": frame.octaves,
                "step": frame.step + 1,
                "steps": frame.steps,
                "score": scores[-1],
                "width": width,
                "height": height,
            }
            self.jpeg = _jpeg(frame.small(LONGEST)[0])


def _before(frame: Frame) -> bytes:
    """The photo."""
    height, width = frame.photo.size
    return _jpeg(frame.photo.rows(0, height)[0]) if max(height, width) <= 4 * LONGEST else b""


def _jpeg(image: Any) -> bytes:
    """`[3, H, W]`, 0..1, at most LONGEST px."""
    pixels = (image.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    picture = Image.fromarray(pixels)
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()
