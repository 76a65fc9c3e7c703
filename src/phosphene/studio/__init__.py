"""The studio: a page in the browser where a dream grows before one's eyes, and its programming interface."""

from phosphene.errors import PhospheneError

try:
    import fastapi as fastapi
    import uvicorn as uvicorn
except ImportError:
    raise PhospheneError("E_FORMAT", "the studio needs FastAPI; pip install 'phosphene[studio]'") from None
