"""FLOPs of operations whose number is known, forward and backward, on the meta device."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from understudy.forecast.gpus import GPUS, SHARE, SHARE_RANGE, gpu_of
from understudy.run.flops import bytes_of, count_flops, count_work, counts_steps
from understudy.run.operations import count_operations


def test_a_convolution():
    with torch.device("meta"):
        conv, x_NCHW = nn.Conv2d(3, 5, 3, padding=1), torch.empty(2, 3, 8, 8)
        forward = 2 * (2 * 5 * 8 * 8) * 3 * 9
        assert count_flops(lambda: conv(x_NCHW)) == forward
        assert count_flops(lambda: conv(x_NCHW).sum().backward()) == 2 * forward  # the input needs no gradient
        x_NCHW.requires_grad_()
        assert count_flops(lambda: conv(x_NCHW).sum().backward()) == 3 * forward


def test_a_convolution_in_groups():
    """Each gradient costs what the forward pass costs."""
    with torch.device("meta"):
        conv, x_NCHW = nn.Conv2d(8, 12, 3, padding=1, groups=4), torch.empty(2, 8, 5, 5, requires_grad=True)
        forward = 2 * (2 * 12 * 5 * 5) * 2 * 9
        assert count_flops(lambda: conv(x_NCHW)) == forward
        assert count_flops(lambda: conv(x_NCHW).sum().backward()) == 3 * forward


def test_a_matrix_product():
    with torch.device("meta"):
        dense, x_NK = nn.Linear(7, 11, bias=False), torch.empty(5, 7)
        assert count_flops(lambda: dense(x_NK)) == 2 * 5 * 7 * 11


def test_what_was_counted_before_counts_the_same_again():
    """With views, lists, changes in place and second derivatives; without these as much as torch's counter says."""
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3))
        x_NCHW = torch.empty(2, 3, 16, 16, requires_grad=True)

    def step() -> None:
        halves = torch.cat([part.mul(2) for part in network(x_NCHW).mT.split(2)])
        (slope_NCHW,) = torch.autograd.grad(halves.square().sum(), x_NCHW, create_graph=True)
        assert slope_NCHW.shape == x_NCHW.shape and slope_NCHW.dtype == torch.float32
        slope_NCHW.square().sum().backward()

    assert count_flops(step) == count_flops(step) > 0
    with FlopCounterMode(display=False) as counter:
        network(x_NCHW).sum().backward()
    for _ in range(2):
        assert count_flops(lambda: network(x_NCHW).sum().backward()) == counter.get_total_flops()


def test_it_counts_on_a_real_device_too():
    x = torch.ones(4, 4)
    assert count_flops(lambda: x @ x) == 2 * 4**3 and count_flops(lambda: x + x) == 0
    found = []
    count_flops(lambda: found.extend([x @ x, x @ (2 * x)]))
    assert found[0].equal(4 * x) and found[1].equal(8 * x)  # numbers are computed each time


def test_bytes_and_kernels_are_those_of_the_other_counter():
    """benchmarks/count_operations.py and the forecast agree, an optimizer's step included."""
    with torch.device("meta"):
        network, x_NCHW = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)), torch.empty(2, 3, 16, 16)
    adam = torch.optim.Adam(network.parameters())

    def step() -> None:
        network(x_NCHW).sum().backward()
        adam.step()
        adam.zero_grad()

    seen = count_operations(step, [adam])
    counts_steps(adam)
    for _ in range(2):
        work = count_work(step)
        assert (work.bytes, work.kernels) == (seen.bytes.total(), seen.kernels)
        assert work.flops == count_flops(step) > 0
    assert work + work == work * 2 and (work / 2).bytes == work.halved().bytes == work.bytes / 2


def test_bytes():
    assert bytes_of([torch.empty(3, 5), torch.empty(2, dtype=torch.float16)]) == 64


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("Tesla V100-SXM2-32GB", "v100"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA RTX A6000", "a6000"),
        ("Tesla T4", "t4"),
    ],
)
def test_a_gpu_is_known_by_its_drivers_name(name, key):
    assert gpu_of(name) is GPUS[key]


def test_other_devices_are_not_taken_for_a_gpu():
    assert gpu_of("CPU, 2 threads (AMD EPYC 9654)") is None and gpu_of("NVIDIA GeForce RTX 4090 D") is None
    assert gpu_of("NVIDIA H100 PCIe") is None
    assert gpu_of("NVIDIA A40") is GPUS["a40"] and gpu_of("NVIDIA L40") is None


def test_peaks():
    assert GPUS["a100"].peak("fp16") == 312e12 and GPUS["a100"].peak("fp32") == 19.5e12
    assert GPUS["v100"].peak("bf16") == GPUS["v100"].peak("tf32") == GPUS["v100"].peak("fp32")
    assert GPUS["a100"].peak("tf32") == 156e12
    assert SHARE_RANGE[0] < SHARE < SHARE_RANGE[1]
