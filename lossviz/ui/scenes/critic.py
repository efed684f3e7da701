"""Critic and generator: what its module in the browser needs."""

from typing import Any

from lossviz.figures.critic import figures, plane
from lossviz.scenes.critic import DISTANCES, GRID, SPACES, SQUARE
from lossviz.scenes.critics import HIGH, KNOT_REACH, LOW, PLACES, POSTS, SAMPLES
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
    over_plane = tr("First coordinate"), tr("Second coordinate"), tr("Critic's score")
    return {
        "figures": {
            **figures(names, LOW, HIGH, DISTANCES[-1].item(), SAMPLES, words),
            **plane(names, LOW, HIGH, over_plane),
        },
        "spaces": {
            name: {"real": space.real.name, "fake": space.fake.name, "heights": space.heights.name, "axes": space.axes}
            for name, space in SPACES.items()
        },
        "square": [LOW, HIGH, len(SQUARE)],
        "samples": SAMPLES,
        "posts": [[place.item() for place in post] for post in POSTS],
        "grid": [LOW, HIGH, len(GRID)],
        "distances": [0.0, DISTANCES[-1].item(), len(DISTANCES)],
        "knots": [place.item() for place in PLACES],
        "most": KNOT_REACH,
        "numbers": [("loss", tr("Loss")), ("pull", tr("Pull on the generated"))],
        "text": {
            "critic": tr("The critic's score over the line; arrows: one step"),
            "reach": tr("Pull of the generator's loss, were the samples farther away"),
            "bars": tr("Gradient that each generated sample receives"),
            "lengths": tr("Length of the gradient that each generated sample receives"),
            "gradient": tr("Gradient"),
            "length": tr("Gradient length"),
            "drawn": tr("The critic over the plane: a tent over five posts"),
            "map": tr("The critic that {name} has trained"),
            "hintDrawn": tr("Drag a post up or down: the critic is flat from the middle to two neighbouring corners."),
            "hintTrained": tr(
                "Each loss trains a small network of its own; its arrows are the gradient through that one."
            ),
            "legend": tr("Arrows: {factor} × one step of the generator; dashed: score 0"),
            "penalised": tr("Dark arrows: the critic's slope between pairs; circles: the length that costs nothing"),
            "meanReal": tr("Mean score: real"),
            "meanFake": tr("generated"),
            "post": tr("Critic's score at ({x}, {y})"),
            "x": tr("first coordinate"),
            "y": tr("second coordinate"),
            "real": tr("Real"),
            "fake": tr("Generated"),
            "realSample": tr("Real sample {k}"),
            "fakeSample": tr("Generated sample {k}"),
            "knot": tr("Critic's score at {x}"),
            "turn": tr("Whose loss is shown, and who moves at a step"),
            "generator": tr("Generator's turn"),
            "discriminator": tr("Critic's turn"),
            "position": tr("Real samples at {real}; generated ones at {fake}."),
            "meanScores": tr("Mean score of the real ones {real}, of the generated ones {fake}."),
            "sentence": tr("{name}: loss {loss}, pull {pull}, gradient by generated sample {gradient}."),
            "between": tr("Between pair {k}"),
            "sample": tr("Sample"),
            "place": tr("Place"),
            "score": tr("score"),
            "slope": tr("gradient"),
        },
    }
