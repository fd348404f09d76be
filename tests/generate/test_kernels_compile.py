"""The kernels that read maps in either layout compile for a GPU, which Triton can where there is none: its interpreter
is more lenient. In a process of its own, as this one interprets."""

import inspect
import os
import subprocess
import sys

TYPES = {"slopes_ptr": "*u8", "gain": "fp32", "limit": "fp32", "x_gain": "fp32"}
BOTH_LOOKS = {"FIRST": True, "SECOND": True}
OPTIONS = {  # of each kernel, beside those of a tile
    "triton_kernels._activate_kernel": {"SCALED": True, "NOISY": True, "BIASED": True, "KEPT": True},
    "triton_kernels._activate_backward_kernel": {"SCALED": True, "NOISY": True},
    "triton_kernels._scale_backward_twice_kernel": {},
    "triton_kernels._fir_kernel": {"UP": 2, "DOWN": 1, "K": 4},
    "adain_kernels._styled_kernel": BOTH_LOOKS,
    "adain_kernels._styled_backward_kernel": BOTH_LOOKS,
    "pixel_norm_kernels._backward_kernel": {"ACTIVE": True},
    "weight_kernels._prepare_kernel": {"NORM": 1, "SQUARED": True, "B": 64, "KB": 16},
    "weight_kernels._shifts_kernel": {"FLIPPED": True, "K": 3, "SIZE": 4, "B": 64},
}
TILE = {"LAST": True, "CB": 16, "PB": 16}


def compile_all() -> None:
    from importlib import import_module

    import triton
    from triton.backends.compiler import GPUTarget

    for name, options in OPTIONS.items():
        module, function = name.split(".")
        kernel = getattr(import_module(f"understudy.generate.{module}"), function)
        arguments = inspect.signature(kernel.fn).parameters
        constants = {key: value for key, value in (TILE | options).items() if key in arguments}
        signature = {a: TYPES.get(a, "*fp32" if a.endswith("_ptr") else "i32") for a in arguments}
        signature |= dict.fromkeys(constants, "constexpr")
        source = triton.compiler.ASTSource(kernel, signature, constants)
        assert "ptx" in triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm, name
        print(name)


def test_kernels_compile_for_a_gpu(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(OPTIONS)


if __name__ == "__main__":
    compile_all()
