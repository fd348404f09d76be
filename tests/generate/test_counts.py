"""What an iteration of each model asks of a GPU stays below a limit, a little above what was reached: 5 x 256 x 256 on
the meta device, by benchmarks/count_operations.py. A change that lowers a number may lower its limit."""

import importlib.util
from pathlib import Path

import pytest
import torch

from understudy.generate import build, kernels
from understudy.generate.layout import layout_of

SCRIPT = Path(__file__).parents[2] / "benchmarks/count_operations.py"

# kernels; GB of pointwise operations, reductions and FIR; GB of all; GB of the largest phase's tensors
LIMITS = {
    "stylegan2": (1800, 112, 169, 6.9),
    "stylegan3": (1590, 165, 242, 13.8),
    "r3gan": (15_400, 2280, 4640, 37.5),  # 256 images, 32 at once
    "progressive_gan": (800, 17.7, 38, 1.6),
    "stylegan1": (1120, 39, 71, 3.4),
    "diffusion": (1880, 48.2, 86.9, 12.3),
    "unet": (200, 17.4, 32.5, 6.3),
    "dynunet": (280, 13.6, 22, 3.0),
}

TRACED = {
    "stylegan2": {"mapping_layers": 1},
    "stylegan3": {"mapping_layers": 1, "layers": 4, "critical_layers": 1, "margin": 4},
    "r3gan": {"group_size": 4, "blocks": 1},
}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("count_operations", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", LIMITS)
def test_an_iteration_stays_below_its_limits(script, name):
    found = script.segmenter_phases(name) if name in script.SEGMENTERS else script.phases(name)
    whole, (most, most_pointwise, most_gb, peak) = script.total(found), LIMITS[name]
    pointwise = (whole.bytes["pointwise"] + whole.bytes["fir"]) / 1e9
    assert whole.kernels <= most
    assert pointwise <= most_pointwise
    assert whole.bytes.total() / 1e9 <= most_gb
    assert whole.peak_bytes / 1e9 <= peak


@pytest.mark.parametrize("name", ["stylegan2", "r3gan", "progressive_gan", "stylegan1"])
def test_maps_of_reduced_precision_stay_as_they_are(script, name):
    """From where they get their type to where they lose it: no kernel turns them, and no convolution does inside."""
    seen = set()

    def look(module, _, y):
        if isinstance(y, torch.Tensor) and y.dtype == torch.bfloat16 and y.ndim == 4 and y.shape[1] > script.CHANNELS:
            seen.add(layout_of(y))

    with torch.nn.modules.module.register_module_forward_hook(look):
        found = script.total(script.phases(name, precision="bf16", channel_max=64, batch=32))
    assert found.turning == 0
    assert seen == {torch.channels_last}


def test_the_committed_table_has_every_model(script):
    text = script.TABLE.read_text()
    for name in [*script.GENERATORS, *script.SEGMENTERS]:
        assert f"| {name}" in text, name


@pytest.mark.parametrize("name", TRACED)
@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize("fused", [False, True])
def test_networks_trace_without_a_graph_break(name, network, fused, monkeypatch):
    if fused:
        monkeypatch.setattr(kernels, "fused", lambda x: True)
    options = {"channel_base": 64, "channel_max": 4, "latent_size": 4, "batch": 4} | TRACED[name]
    torch.manual_seed(0)
    traced = build(name, 2, 16, precision="fp32", **options).networks[network]
    x = torch.randn(4, 4) if network == "generator" else torch.randn(4, 2, 16, 16)
    with torch.no_grad():
        plain = traced(x)
        torch.testing.assert_close(torch.compile(traced, fullgraph=True, backend="eager")(x), plain)
