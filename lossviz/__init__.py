"""Loss functions to drag, compare and train with. Nothing heavy is imported before it is used."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossviz.losses import CATALOGUE, find, get, snippet, value_and_grad

__all__ = ["CATALOGUE", "__version__", "find", "get", "snippet", "value_and_grad"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lossviz' has no attribute {name!r}")
    from lossviz import losses

    return getattr(losses, name)
