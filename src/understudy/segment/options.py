"""The options that build a network, as weights of others may give them: of known names, types and sizes."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from understudy.core.forms import Form
from understudy.core.outside import checked

from . import SEGMENTERS, network_class

Width = Annotated[int, Field(ge=1, le=8192)]
Parts = Annotated[list[Annotated[int, Field(ge=1, le=128)]], Field(min_length=1, max_length=8)]


class UNet(Form):
    depth: Annotated[int, Field(ge=1, le=12)] = 6
    base_filters: Width = 64
    padding: Literal["same", "valid"] = "same"
    deep_supervision: bool = True


class Swin(Form):
    patch: Annotated[int, Field(ge=1, le=64)] = 4
    width: Width = 128
    depths: Parts = [2, 2, 18, 2]
    heads: Parts = [4, 8, 16, 32]
    window: Annotated[int, Field(ge=1, le=32)] = 7
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.3
    decoder_width: Width = 512


class DynUNet(Form):
    filters: Annotated[list[Width], Field(min_length=3, max_length=12)] = [32, 64, 128, 256, 512, 512, 512]
    deep_supervision: bool = True


class Other(Form):
    """Of MMSegmentation; openmmlab.py checks every name and number in it."""

    model: dict[str, object]


_FORMS = dict(zip(SEGMENTERS, (UNet, Swin, DynUNet), strict=True))


def building_options(name: str, options: Mapping, where: str) -> dict:
    """Those of the options that build the network, but for a file to start from, which published weights replace.
    Raises ValueError where one cannot be."""
    wanted = [key for key in network_class(name).OPTIONS if key != "pretrained" and key in options]
    given = {key: options[key] for key in wanted}
    return checked(_FORMS.get(name, Other), given, f"{where}, options", f"those of the segmenter {name}")
