"""Counting kernels, bytes and peaks without numbers: known answers for small sums."""

import torch
from torch import nn

from understudy.run.operations import count_operations


def empty(*shape, **options):
    return torch.empty(shape, device="meta", **options)


def test_a_kernel_reads_its_inputs_and_writes_its_output():
    x, y = empty(10, 10), empty(10, 10)
    seen = count_operations(lambda: x + y)
    assert (seen.kernels, seen.bytes["pointwise"], seen.peak_bytes) == (1, 1200, 400)


def test_views_are_no_kernels_and_what_is_expanded_is_read_once():
    x, row = empty(10, 10), empty(10)
    assert count_operations(lambda: x.view(100).expand(3, 100).T).kernels == 0
    assert count_operations(lambda: x * row.expand(10, 10)).bytes["pointwise"] == 840


def test_what_is_written_in_place_is_read_and_written_but_for_copies():
    x, y = empty(10), empty(10)
    assert count_operations(lambda: x.add_(y)).bytes["pointwise"] == 120
    assert count_operations(lambda: x.copy_(y)).bytes["pointwise"] == 80
    assert count_operations(lambda: x.zero_()).bytes["pointwise"] == 40
    assert count_operations(lambda: torch.zeros_like(x)).bytes["pointwise"] == 40


def test_products_and_depthwise_filters_are_kinds_of_their_own():
    x, w = empty(1, 4, 8, 8), empty(4, 1, 3, 3)
    assert count_operations(lambda: nn.functional.conv2d(x, w, groups=4)).bytes.keys() == {"fir"}
    assert count_operations(lambda: nn.functional.conv2d(x, empty(4, 2, 3, 3), groups=2)).bytes.keys() == {"products"}
    assert count_operations(lambda: empty(4, 5) @ empty(5, 6)).bytes["products"] == 4 * (20 + 30 + 24)


def test_the_peak_is_of_what_is_there_at_once():
    def chain():
        x = empty(100)
        for _ in range(5):
            x = x + 1

    assert count_operations(chain).peak_bytes == 800


def test_what_a_backward_pass_keeps_counts():
    w = empty(100).requires_grad_()
    seen = count_operations(lambda: (w.exp() * w).sum().backward())
    assert seen.peak_bytes >= 4 * 200


def test_what_turns_maps_is_counted():
    x = empty(2, 4, 8, 8, dtype=torch.float16)
    last, w = x.to(memory_format=torch.channels_last), empty(6, 4, 3, 3, dtype=torch.float16)
    w_last = w.to(memory_format=torch.channels_last)
    conv = nn.functional.conv2d
    for turning in (last.contiguous, lambda: x + last, lambda: conv(last, w), lambda: conv(x, w.transpose(2, 3))):
        assert count_operations(turning).turning == 1
    for keeping in (
        lambda: last * 2,
        lambda: conv(last, w_last),
        lambda: conv(x, w),
        last.float,
        lambda: last[:, :1] + 1,
    ):
        assert count_operations(keeping).turning == 0


def test_convolutions_have_the_layout_that_a_gpu_gives_them():
    def both_ways():
        x = empty(2, 4, 8, 8, dtype=torch.float16).to(memory_format=torch.channels_last).requires_grad_()
        w = empty(4, 6, 3, 3, dtype=torch.float16).to(memory_format=torch.channels_last)
        y = nn.functional.conv_transpose2d(x, w, stride=2)
        (g,) = torch.autograd.grad(y.sum(), x)
        assert all(t.is_contiguous(memory_format=torch.channels_last) for t in (y, g))

    count_operations(both_ways)


def test_an_optimizer_is_one_kernel():
    network = nn.Linear(10, 10, device="meta")
    adam = torch.optim.Adam(network.parameters())

    def step():
        network(empty(2, 10)).sum().backward()
        adam.step()

    seen = count_operations(step, optimizers=[adam])
    assert seen.bytes["optimizer"] == 7 * 4 * 110
    assert "step" not in vars(adam)
