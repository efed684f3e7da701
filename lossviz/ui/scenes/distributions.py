"""Two distributions: what its module in the browser needs."""

from typing import Any

from lossviz.figures.distributions import figures
from lossviz.scenes.distributions import BINS, LINE, SLIDE_BARS
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    words = tr("Bin"), tr("Probability"), tr("Gradient"), tr("Centre of q, in bins"), tr("Loss")
    return {
        "bins": {"bars": BINS, "gaussians": LINE},
        "slides": {"bars": [SLIDE_BARS[0].item(), SLIDE_BARS[-1].item()], "gaussians": [1, LINE]},
        "figures": figures(names, words),
        "numbers": [("loss", tr("Loss"))],
        "text": {
            "pair": {
                "bars": tr("p above, q below"),
                "gaussians": tr("p above, q below: {bins} bins", bins=LINE),
            },
            "pairAxis": {"bars": tr("Probability (bars), height (discs)"), "gaussians": tr("Probability")},
            "pull": {
                "bars": tr("Gradient by the height of each bar of q"),
                "gaussians": tr("Gradient by the weight of each bin of q"),
            },
            "slide": {
                "loss": tr("Losses as q slides along the line"),
                "slope": tr("How fast they change as q slides"),
            },
            "slideAxis": {"loss": tr("Loss"), "slope": tr("Change per bin")},
            "flat": tr(
                "Where nothing overlaps, JS and total variation are flat; a line ends where its loss is infinite."
            ),
            "true": tr("p, true"),
            "forecast": tr("q, forecast"),
            "bars": {"p": tr("p, height of bin {k}"), "q": tr("q, height of bin {k}")},
            "centre": {"p": tr("p, true: centre"), "q": tr("q, forecast: centre")},
            "width": tr("width"),
            "shared": {
                "kl": tr("KL(p‖q)"),
                "kl.reverse": tr("KL(q‖p)"),
                "entropy": tr("entropy H(p)"),
                "cross_entropy": tr("cross-entropy H + KL(p‖q)"),
            },
            "nats": tr("in nats:"),
            "byBin": tr("bin {k}"),
            "gradient.mean": tr("by centre of q"),
            "gradient.width": tr("by width of q"),
            "position": tr("p: {p}. q: {q}."),
            "sentence": tr("{name}: loss {loss}."),
            "slope": tr("gradient"),
            "aBin": tr("Bin"),
        },
    }
