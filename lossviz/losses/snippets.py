"""A loss at given inputs as a complete program in PyTorch, Keras or Optax, to copy and run."""

import ctypes
import json
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from lossviz.losses.entry import Inputs, Loss, Params

Library: TypeAlias = Literal["pytorch", "keras", "optax"]
Numbers: TypeAlias = "float | Sequence[Numbers]"

WIDTH = 88
NEEDED: Mapping[Library, tuple[str, ...]] = {
    "pytorch": ("import torch",),
    "keras": ("import keras",),
    "optax": ("import jax", "import jax.numpy as jnp"),
}
INFERRED: Mapping[Library, tuple[torch.dtype, ...]] = {
    "pytorch": (torch.float32, torch.int64, torch.bool),
    "keras": (),
    "optax": (torch.float64, torch.int64, torch.bool),
}
"""What the libraries make of numbers where no dtype is named; in Optax, of JAX in double precision."""


def filled(loss: Loss, library: Library, params: Mapping[str, object] | None = None) -> str | None:
    """The entry's own code with its parameters filled in; ``None`` where the library lacks the loss.

    Raises:
        ValueError: as ``Loss.resolve``.
    """
    code: str | None = getattr(loss.code, library)
    return code and code.format(**{name: _literal(value) for name, value in loss.resolve(params).items()})


def snippet(loss: Loss, library: Library, inputs: Inputs, params: Mapping[str, object] | None = None) -> str | None:
    """A program that needs nothing else: it leaves the reduced value in ``loss`` and prints it.

    In PyTorch and JAX numbers keep their precision; in PyTorch the gradients that autograd reaches are printed as well.
    Keras computes in float32, whatever its backend, so that floating point inputs are written rounded to it.

    Args:
        loss: a loss of the catalogue.
        library: which library the program is for.
        inputs: every input of the loss by name.
        params: parameters; those left out have their default.

    Returns:
        The program, or ``None`` where the library lacks the loss.

    Raises:
        ValueError: as ``Loss.resolve`` and ``Loss.check``; or a network has layers that can't be written as code.
    """
    code, resolved = filled(loss, library, params), loss.resolve(params)
    if code is None:
        return None
    loss.check(inputs, resolved)
    imports, body = _split(code)
    learnt = _learnt(loss, inputs, resolved) if library == "pytorch" else ()
    given = [
        _network(name, inputs[name]) if name in loss.models else _input(name, inputs[name], library, name in learnt)
        for name in loss.inputs
    ]
    parts = [_sorted({*imports, *NEEDED[library]})]
    if library == "optax":
        parts.append('jax.config.update("jax_enable_x64", True)')
    parts += ["\n".join(given), f"{body}\n{_printed(loss, library)}"]
    if learnt:
        parts.append("\n".join(["loss.backward()", *(f"print({name}.grad)" for name in learnt)]))
    # Functions want two lines above them.
    return "\n\n".join(f"\n{part}" if part.startswith("def ") else part for part in parts) + "\n"


def _printed(loss: Loss, library: Library) -> str:
    if library != "pytorch":
        return "print(float(loss))"
    return "print(loss.tolist())" if loss.returns == "gradients" else "print(loss.item())"


def _split(code: str) -> tuple[list[str], str]:
    """The imports that code begins with, and the rest."""
    lines = code.strip().split("\n")
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("import "))
    return [line for line in lines[:first] if line], "\n".join(lines[first:])


def _sorted(imports: set[str]) -> str:
    """The standard library's first."""
    ours = [line for line in sorted(imports) if line.split()[1] in sys.stdlib_module_names]
    others = [line for line in sorted(imports) if line not in ours]
    return "\n\n".join("\n".join(group) for group in (ours, others) if group)


def _learnt(loss: Loss, inputs: Inputs, params: Params) -> tuple[str, ...]:
    """The differentiable inputs that the value depends on: a generator's loss leaves real samples out."""
    with torch.inference_mode(False), torch.enable_grad():
        own = {name: value if name in loss.models else value.clone().detach() for name, value in inputs.items()}
        leaves = [own[name].requires_grad_() for name in loss.differentiable]
        value = loss.reduce(loss.fn(**own, **params), own, params)
        if not leaves or not value.requires_grad:
            return ()
        slopes = torch.autograd.grad(value, leaves, allow_unused=True)
    named = zip(loss.differentiable, cast("tuple[Tensor | None, ...]", slopes), strict=True)
    return tuple(name for name, slope in named if slope is not None)


# --- inputs and networks


def _input(name: str, value: Tensor, library: Library, learnt: bool = False) -> str:
    match library:
        case "pytorch":
            return f"{name} = {_tensor(value, len(name) + 3, learnt)}"
        case "keras":
            kept = value.float() if value.is_floating_point() else value
            kind = "float32" if value.is_floating_point() else "bool" if value.dtype == torch.bool else "int32"
            end = f', dtype="{kind}")'
            return f"{name} = " + _call("keras.ops.convert_to_tensor(", kept, end, len(name) + 3)
        case "optax":
            end = f", dtype=jnp.{_dtype(value)})" if _is_named(value, library) else ")"
            return f"{name} = " + _call("jnp.array(", value, end, len(name) + 3)


def _tensor(value: Tensor, column: int, learnt: bool = False, indent: str = "") -> str:
    end = f", dtype=torch.{_dtype(value)}" if _is_named(value, "pytorch") else ""
    end += ", requires_grad=True)" if learnt else ")"
    return _call("torch.tensor(", value, end, column, indent)


def _is_named(value: Tensor, library: Library) -> bool:
    return value.dtype not in INFERRED[library] or not value.numel()


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _call(start: str, value: Tensor, end: str, column: int, indent: str = "") -> str:
    numbers = cast("Numbers", value.tolist())  # pyright: ignore[reportUnknownMemberType]
    text = _nested(numbers, value.dtype, indent, WIDTH - column - len(start) - len(end))
    return start + text + end


def _nested(numbers: Numbers, dtype: torch.dtype, indent: str, room: int) -> str:
    """Nested lists in ``room`` columns, or broken over lines: a row a line, and long rows filled."""
    if not isinstance(numbers, Sequence):
        return _number(numbers, dtype)
    inner, width = indent + "    ", WIDTH - len(indent) - 5
    rows = [_nested(row, dtype, inner, width) for row in numbers]
    line = f"[{', '.join(rows)}]"
    if "\n" not in line and len(line) <= room:
        return line
    if any(isinstance(row, Sequence) for row in numbers):
        return "[\n" + "".join(f"{inner}{row},\n" for row in rows) + indent + "]"
    lines = textwrap.wrap(", ".join(rows), width, break_long_words=False, break_on_hyphens=False)
    return "[\n" + "".join(f"{inner}{line}\n" for line in lines)[:-1] + f",\n{indent}]"


def _number(value: float, dtype: torch.dtype) -> str:
    if dtype == torch.float32 and math.isfinite(value):
        texts = (f"{value:.{digits}g}" for digits in range(6, 10))
        return repr(float(next(text for text in texts if ctypes.c_float(float(text)).value == value)))
    return _literal(value)


def _literal(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _network(name: str, network: object) -> str:
    """Code that makes the network anew, weight by weight."""
    layers = list(network) if type(network) is nn.Sequential else []
    texts = [_layer(layer) for layer in layers]
    for layer, text in zip(layers or [network], texts or [None], strict=True):
        if text is None:
            kind = type(cast("Any", layer)).__name__
            allowed = "a torch.nn.Sequential of Linear, Tanh, ReLU and Flatten layers"
            raise ValueError(f"{name} holds a {kind}, allowed in a program: {allowed}")
    weights = {f"{i}.{key}": weight for i, layer in enumerate(layers) for key, weight in layer.state_dict().items()}
    lines = [f"{name} = torch.nn.Sequential(", *(f"    {text}," for text in texts), ")"]
    if weights:
        lines += [f"{name}.load_state_dict({{"]
        lines += [f'    "{key}": {_tensor(weight, 8 + len(key), indent="    ")},' for key, weight in weights.items()]
        lines += ["})"]
    return "\n".join(lines)


def _layer(layer: nn.Module) -> str | None:
    if type(layer) is nn.Linear:
        bias = "" if layer.bias is not None else ", bias=False"  # pyright: ignore[reportUnnecessaryComparison]
        dtype = "" if layer.weight.dtype == torch.float32 else f", dtype={layer.weight.dtype}"
        return f"torch.nn.Linear({layer.in_features}, {layer.out_features}{bias}{dtype})"
    if type(layer) is nn.Flatten:
        start, end = layer.start_dim, layer.end_dim
        return "torch.nn.Flatten()" if (start, end) == (1, -1) else f"torch.nn.Flatten({start}, {end})"
    if type(layer) in (nn.Tanh, nn.ReLU):
        return f"torch.nn.{type(layer).__name__}()"
    return None
