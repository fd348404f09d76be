"""No more is allocated than a file holds, whether or not shapes alone say how large a result is."""

import pytest
import torch

from understudy.files.allocation_limit import Budget

LARGE = 5_000_000


def test_what_a_file_holds_may_be_made_and_no_more():
    with Budget(100, 2):
        x = torch.randn(10, 10)
        assert (x @ x).shape == (10, 10)
    with pytest.raises(ValueError, match="larger network"), Budget(100, 2):
        torch.empty(10**9, 1)


def test_a_result_whose_size_values_decide_is_counted_as_well():
    x, mask = torch.ones(LARGE), torch.ones(LARGE, dtype=torch.bool)
    for function in (lambda: x.masked_select(mask), lambda: x.nonzero()):
        with pytest.raises(ValueError, match="larger network"), Budget(100, 2):
            function()
    with Budget(100, 2):
        assert x[:5].masked_select(mask[:5]).tolist() == [1] * 5


def test_an_operation_in_place_is_done_once():
    x = torch.zeros(3)
    with Budget(100, 2):
        torch._foreach_add_([x], 1)
        x.add_(1)
    assert x.tolist() == [2, 2, 2]
