"""`tracking`: what people watch while trainings run."""

from typing import Literal

Tracking = Literal["none", "tensorboard", "mlflow"]
