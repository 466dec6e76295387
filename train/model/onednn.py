"""Linear layers whose products oneDNN computes, where torch would ask MKL.

torch takes MKL for fp32 products on a CPU, and MKL uses AVX-512 on Intel's processors alone; on
others oneDNN, which torch takes for convolutions, is about twice as fast. Precision is the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class OneDNNLinear(nn.Linear):
    """A linear layer that differs in who computes it; what is not plain fp32 goes torch's way."""

    def forward(self, input: Tensor) -> Tensor:
        of_fp32 = input.dtype == self.weight.dtype == torch.float32
        if not of_fp32 or torch.is_autocast_enabled(input.device.type):
            return super().forward(input)
        return _Linear.apply(input, self.weight, self.bias)


def use_onednn(module: nn.Module) -> None:
    """Change the linear layers within, where that is a gain on this processor."""
    if not gains():
        return
    for layer in module.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = OneDNNLinear


def gains() -> bool:
    """Whether MKL leaves half of this processor unused, and this torch has another way."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # torch's own, for what it compiles
        return False
    told = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return told.get("avx512_f", False) and not told["cpu_name"].startswith("Intel")


class _Linear(torch.autograd.Function):
    """x (..., K), weight (N, K), bias (N,) or None -> (..., N)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        learns = ctx.needs_input_grad[1]
        ctx.save_for_backward(x if learns else None, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows = grad.flatten(0, -2)  # (M, N)
        return (
            _product(grad, weight.t()) if of_x else None,
            _product(rows.t(), x.flatten(0, -2).t()) if of_weight else None,
            rows.sum(dim=0) if of_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., K) times weight (N, K), plus bias (N,) -> (..., N)."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
