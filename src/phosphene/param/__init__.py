"""Parametrizations: what the ascent moves, and the image that it stands for."""

from phosphene.param.base import Param
from phosphene.param.begin import PARAMS, begin, kind_of, resumed
from phosphene.param.learned import Learned
from phosphene.param.pixels import Pixels

__all__ = ["PARAMS", "Learned", "Param", "Pixels", "begin", "kind_of", "resumed"]
