import pytest
from reading import OPTIONS, stacks

from understudy.reader.reading_page import make_study


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """(folder, key) of 24 images."""
    folder = tmp_path_factory.mktemp("reader_study")
    return folder, make_study(stacks(folder, 12), OPTIONS, 0, "made", folder)
