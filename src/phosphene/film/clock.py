"""The times of a stream that was recorded by a clock that began long before, and may have been set anew.

In an MPEG transport or program stream the first still comes at whatever time the recorder's clock showed,
and where two recordings were put together the clock jumps. A film begins at 0 and goes on.
"""

from __future__ import annotations

from fractions import Fraction

from av.container import InputContainer
from av.format import Flags

BACK = Fraction(1, 2)  # s by which times may go back, or
AHEAD = 10  # s by which they may jump ahead: more is a clock that was set


def begun(film: InputContainer) -> Fraction | None:
    """What such a clock shows, in seconds, as the film begins; None for a film whose times are its own."""
    if not film.format.flags & Flags.ts_discont.value:  # type: ignore[operator]
        return None
    streams = (*film.streams.video, *film.streams.audio)
    starts = [
        one.start_time * one.time_base for one in streams if one.start_time is not None and one.time_base
    ]
    return min(starts, default=Fraction(0))


class Clock:
    """The times of one stream, in ticks of `unit` seconds, of a film whose clock has `begun`."""

    def __init__(self, begun: Fraction | None, unit: Fraction) -> None:
        self.set_anew = begun is not None
        self.shift = round((begun or 0) / unit)
        self.back, self.ahead = round(BACK / unit), round(AHEAD / unit)
        self.next: int | None = None

    def at(self, ticks: int, lasts: int) -> int:
        """When that is, counted from the film's beginning; `lasts` is until the next of the stream."""
        found = ticks - self.shift
        if self.set_anew and self.next is not None and not self._goes_on(found, self.next):
            self.shift += found - self.next
            found = self.next
        self.next = found + lasts
        return found

    def _goes_on(self, found: int, expected: int) -> bool:
        return expected - self.back <= found <= expected + self.ahead
