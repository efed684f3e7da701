"""The scenes in display order. A scene knows losses and tensors, never a web page."""

from difflib import get_close_matches

from lossviz.scenes.classes import CLASSES_SCENE
from lossviz.scenes.regression import REGRESSION
from lossviz.scenes.scene import MAX_LOSSES, Frame, Handle, Scene

SCENES: tuple[Scene, ...] = (REGRESSION, CLASSES_SCENE)


def get_scene(key: str) -> Scene:
    """Return the scene with that key; raise ``ValueError`` naming the scenes there are."""
    for scene in SCENES:
        if scene.key == key:
            return scene
    near = get_close_matches(key, [scene.key for scene in SCENES], 1, 0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(f"Unknown scene {key[:40]!r}; there are {', '.join(s.key for s in SCENES)}.{hint}")


__all__ = ["MAX_LOSSES", "SCENES", "Frame", "Handle", "Scene", "get_scene"]
