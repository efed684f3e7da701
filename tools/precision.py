"""Measures every loss in float16, bfloat16 and float32 on the CPU; writes ``lossviz/losses/precision.json``.

    python -m tools.precision [--only KEY ...]

With ``--only`` it prints what it measures and writes nothing. What the numbers mean is said in
``lossviz/losses/precision.py``.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lossviz.losses import CATALOGUE, Loss, get
from lossviz.losses.precision import DTYPES, DType, Record
from lossviz.scenes.slices import example, slice_of

RESULT = Path(__file__).parents[1] / "lossviz/losses/precision.json"
POINTS = 9
FAILURE_LENGTH = 100

Inputs = dict[str, Any]


def measure(loss: Loss) -> tuple[Record, ...]:
    """The loss's records, in the order of ``DTYPES``."""
    scaled = name_to_scale(loss)
    return tuple(measure_in(loss, dtype, scaled) for dtype in DTYPES)


def measure_in(loss: Loss, dtype: DType, scaled: str) -> Record:
    """The record of one dtype."""
    try:
        value, gradient = errors(loss, getattr(torch, dtype))
    except (RuntimeError, NotImplementedError, ValueError) as error:
        # The first line: the rest is torch's list of backends.
        return Record(dtype, str(error).splitlines()[0][:FAILURE_LENGTH], None, None, "", None)
    stops = end_of_range(loss, getattr(torch, dtype), scaled) if scaled else None
    return Record(dtype, "", value, gradient, scaled, stops)


def errors(loss: Loss, dtype: torch.dtype) -> tuple[float, float | None]:
    """Largest relative error of the value and of the gradient along the slice."""
    line = slice_of(loss)
    places = torch.linspace(line.low, line.high, POINTS, dtype=torch.float64).tolist()
    pairs = []
    for place in places:
        rounded = cast(line.at(place), dtype)
        pairs.append((value_and_slopes(loss, rounded), value_and_slopes(loss, cast(rounded, torch.float64))))
    value = relative([found[0] for found, _ in pairs], [exact[0] for _, exact in pairs])
    found = [slope for (_, slopes), _ in pairs for slope in slopes]
    exact = [slope for _, (_, slopes) in pairs for slope in slopes]
    return value, relative(found, exact) if found else None


def relative(found: list[Tensor], exact: list[Tensor]) -> float:
    """The largest difference, relative to the largest exact number, rounded to two digits."""
    size = max(float(tensor.abs().max()) for tensor in exact)
    error = max(float((a.double() - b).abs().max()) for a, b in zip(found, exact, strict=True))
    return float(f"{error / size:.2g}") if size else error


def cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    """The inputs in another floating dtype, networks too; whole numbers stay."""

    def one(value: Any) -> Any:
        if isinstance(value, nn.Module):
            return deepcopy(value).to(dtype)
        return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

    return {name: one(value) for name, value in inputs.items()}


def value_and_slopes(loss: Loss, inputs: Inputs) -> tuple[Tensor, list[Tensor]]:
    """The reduced loss and its gradient by autograd, without the checks of values: rounding may break those."""
    params = loss.resolve()
    own = {
        name: value.detach().clone().requires_grad_(name in loss.differentiable) if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }
    leaves = [own[name] for name in loss.differentiable]
    for name in loss.models:
        leaves += weights_of(inputs[name])
    value = loss.reduce(loss.fn(**own, **params), own, params)
    if loss.returns == "gradients" or not leaves:
        return value.detach(), []
    return value.detach(), list(torch.autograd.grad(value, leaves, materialize_grads=True))


def weights_of(model: object) -> list[nn.Parameter]:
    """The network's weights."""
    return list(model.parameters()) if isinstance(model, nn.Module) else []


def name_to_scale(loss: Loss) -> str:
    """The first differentiable input, where its domain allows large numbers; else empty."""
    if not loss.differentiable:
        return ""
    name = loss.differentiable[0]
    return name if any(allowed(loss, inputs) for inputs in enlarged(loss, name, 2.0**16)) else ""


def enlarged(loss: Loss, name: str, size: float) -> Iterator[Inputs]:
    """The example with its largest entry of one input brought to ``size``, and the same with the other sign."""
    inputs = example(loss)
    factor = size / float(inputs[name].abs().max())
    for sign in (1, -1):
        yield inputs | {name: inputs[name] * (sign * factor)}


def allowed(loss: Loss, inputs: Inputs) -> bool:
    """Whether the loss's check lets the inputs pass."""
    try:
        loss.check(inputs, loss.resolve())
    except ValueError:
        return False
    return True


def end_of_range(loss: Loss, dtype: torch.dtype, name: str) -> float | None:
    """The smallest power of two at which value or gradient is not finite; ``None`` where they always are."""
    for power in range(math.floor(math.log2(torch.finfo(dtype).max)) + 1):
        for inputs in enlarged(loss, name, 2.0**power):
            if allowed(loss, inputs):
                value, slopes = value_and_slopes(loss, cast(inputs, dtype))
                if not all(tensor.isfinite().all() for tensor in (value, *slopes)):
                    return 2.0**power
    return None


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="KEY")
    a = parser.parse_args()
    torch.set_num_threads(1)
    found = {loss.key: measure(loss) for loss in ([get(key) for key in a.only] or CATALOGUE)}
    lines = [f"{json.dumps(key)}: {json.dumps([asdict(record) for record in found[key]])}" for key in sorted(found)]
    # One loss a line, so that a change is a line of the diff.
    text = f'{{"torch": "{torch.__version__.partition("+")[0]}", "losses": {{\n' + ",\n".join(lines) + "\n}}\n"
    if a.only:
        sys.stdout.write(text)
    else:
        RESULT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
