"""One CPU thread for all tests, as results are compared bit for bit; the same random cases every time.

HYPOTHESIS_PROFILE=explore draws other cases, many more of them.
"""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")  # kernels of a GPU run on the CPU; read when Triton is first imported

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may have other work
settings.register_profile("same", UNHURRIED, derandomize=True)
settings.register_profile("explore", UNHURRIED, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


LONG = ("workflow", "run", "segment", "release", "audit")  # rooms with files of minutes, the longest first


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of minutes come first, so that no process is left with one at the end."""
    items.sort(key=lambda item: next((i for i, room in enumerate(LONG) if room in item.path.parts), len(LONG)))
