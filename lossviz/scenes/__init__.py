"""The scenes in display order. A scene knows losses and tensors, never a web page."""

from collections.abc import Sequence
from difflib import get_close_matches

from lossviz.scenes.boxes import BOXES_SCENE
from lossviz.scenes.classes import CLASSES_SCENE
from lossviz.scenes.critic import CRITIC_SCENE
from lossviz.scenes.distributions import DISTRIBUTIONS
from lossviz.scenes.embeddings import EMBEDDINGS
from lossviz.scenes.formula import FORMULA
from lossviz.scenes.line import LINE
from lossviz.scenes.margin import MARGIN
from lossviz.scenes.masks import MASKS
from lossviz.scenes.perturbation import PERTURBATION
from lossviz.scenes.regression import REGRESSION
from lossviz.scenes.scene import MAX_LOSSES, Frame, Handle, Scene, Series, Text
from lossviz.scenes.sequence import SEQUENCE
from lossviz.scenes.slice import SLICE
from lossviz.scenes.sparse import SPARSE
from lossviz.scenes.tasks import TASKS

SCENES: tuple[Scene, ...] = (
    REGRESSION,
    LINE,
    MARGIN,
    CLASSES_SCENE,
    DISTRIBUTIONS,
    BOXES_SCENE,
    MASKS,
    EMBEDDINGS,
    SEQUENCE,
    CRITIC_SCENE,
    TASKS,
    PERTURBATION,
    SPARSE,
    FORMULA,
)
"""What the explorer offers."""


EVERY_SCENE: tuple[Scene, ...] = (*SCENES, SLICE)
"""What the live socket evaluates: the catalogue has a scene of its own."""


def get_scene(key: str, among: Sequence[Scene] = SCENES) -> Scene:
    """Return the scene with that key; raise ``ValueError`` naming the scenes there are."""
    for scene in among:
        if scene.key == key:
            return scene
    near = get_close_matches(key, [scene.key for scene in among], 1, 0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(f"Unknown scene {key[:40]!r}; there are {', '.join(s.key for s in among)}.{hint}")


__all__ = ["EVERY_SCENE", "MAX_LOSSES", "SCENES", "SLICE", "Frame", "Handle", "Scene", "Series", "Text", "get_scene"]
