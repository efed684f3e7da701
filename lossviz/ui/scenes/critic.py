"""Critic and generator: what its module in the browser needs."""

from typing import Any

from lossviz.figures.critic import figures
from lossviz.scenes.critic import DISTANCES, GRID, HIGH, KNOT_REACH, LOW, PLACES, SAMPLES
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    words = (
        tr("Place on the line"),
        tr("Critic's score"),
        tr("Distance of the means"),
        tr("Pull"),
        tr("Generated sample"),
        tr("Gradient"),
    )
    return {
        "figures": figures(names, LOW, HIGH, DISTANCES[-1].item(), SAMPLES, words),
        "grid": [LOW, HIGH, len(GRID)],
        "distances": [0.0, DISTANCES[-1].item(), len(DISTANCES)],
        "knots": [place.item() for place in PLACES],
        "most": KNOT_REACH,
        "numbers": [("loss", tr("Loss")), ("pull", tr("Pull on the generated"))],
        "text": {
            "critic": tr("The critic's score over the line; arrows: where a step takes samples and critic"),
            "reach": tr("Pull of the generator's loss, were the samples farther away"),
            "bars": tr("Gradient that each generated sample receives"),
            "real": tr("Real"),
            "fake": tr("Generated"),
            "realSample": tr("Real sample {k}"),
            "fakeSample": tr("Generated sample {k}"),
            "knot": tr("Critic's score at {x}"),
            "turn": tr("Whose loss is shown, and who moves at a step"),
            "generator": tr("Generator's turn"),
            "discriminator": tr("Critic's turn"),
            "position": tr("Real samples at {real}; generated ones at {fake}."),
            "sentence": tr("{name}: loss {loss}, pull {pull}, gradient by generated sample {gradient}."),
            "sample": tr("Sample"),
            "place": tr("Place"),
            "score": tr("score"),
            "slope": tr("gradient"),
        },
    }
