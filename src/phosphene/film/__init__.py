"""Films: dreams that move without flicker, and the endless zoom."""

from phosphene.errors import PhospheneError

try:
    import av as av
    import cv2 as cv2
except ImportError:
    raise PhospheneError("E_FORMAT", "films need PyAV and OpenCV; pip install 'phosphene[film]'") from None
