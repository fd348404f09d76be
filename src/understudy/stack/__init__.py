"""Images on disk: a stack is one ZIP of 8-bit PNGs, one for each slice, and says of itself what it holds."""

from .archive import Stack as Stack
from .archive import StackWriter as StackWriter
