"""Where networks of others find their weights: a path, or the name of a file in the folder that torch.hub fills."""

import os
from pathlib import Path


def find_weights(file: str) -> Path | None:
    """The file, seen from the working directory, or else in torch.hub's cache, where programs such as pytorch-fid have
    put it; None where it is in neither."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    hub = Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub/checkpoints"
    return next((path for path in (Path(file), hub / Path(file).name) if path.is_file()), None)
