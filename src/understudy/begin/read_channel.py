"""Reads a channel of a subject, as `prepare` would turn it."""

from pathlib import Path

from understudy.config.images import Images
from understudy.prepare.layouts import Subject, split_index
from understudy.prepare.read_volumes import read_volume
from understudy.prepare.volume import Volume


def read_channel(root: Path, subject: Subject, channel: str) -> Volume:
    """Raises ValueError as read_volume does."""
    file, index = split_index(subject.files[channel])
    return read_volume(root / file, index, Images.model_fields["orientation"].default)
