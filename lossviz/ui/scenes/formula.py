"""Your own loss: what its module in the browser needs."""

from typing import Any

from lossviz.language import LARGEST_VALUE
from lossviz.scenes.state import State
from lossviz.ui.scenes import regression
from lossviz.ui.words import tr

PRESETS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("Power", "abs(pred - target)**p / p", (1.5,)),
    (
        "Huber",
        "where(abs(pred - target) <= delta, (pred - target)**2 / 2, delta * (abs(pred - target) - delta / 2))",
        (1.0,),
    ),
    ("Log-cosh", "softplus(2 * (pred - target)) - (pred - target) - log(2)", ()),
    ("Quantile", "max(q * (target - pred), (q - 1) * (target - pred))", (0.8,)),
    ("LINEX", "exp(a * (pred - target)) - a * (pred - target) - 1", (1.0,)),
    ("Welsch", "1 - exp(-((pred - target) / c)**2 / 2)", (1.5,)),
)
"""Examples to begin with: a name, a formula, and values of its parameters in order of appearance."""


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene: those of regression, and what is said of the formula."""
    common = regression.data(state)
    return {
        **common,
        "presets": [{"name": tr(name), "formula": text, "values": values} for name, text, values in PRESETS],
        "largest": LARGEST_VALUE,
        "text": {
            **common["text"],
            "train": tr("Train with it"),
            "trainHelp": tr("Train a network on MNIST with this formula, beside the other losses on screen"),
            "span": tr("{low} to {high}"),
            "spanLog": tr("{low} to {high}, log"),
            "spanOf": tr("Range of {name}: {range}"),
            "lowest": tr("{name} from"),
            "highest": tr("{name} to"),
            "log": tr("log"),
            "spanWrong": tr("Allowed: from −{largest} to {largest}, low before high, above 0 for log."),
            "curve": tr("Loss over the prediction"),
            "field": tr("loss(pred, target) ="),
            "examples": tr("Examples"),
            "understood": tr("Understood as"),
            "kept": tr("The pictures still show {formula}"),
            "parameter": tr("Parameter {name}"),
            "language": tr("The language"),
            "languageHelp": tr(
                "+ - * / **, comparisons, where(condition, a, b), abs, exp, log, log1p, expm1, sqrt, sin, cos, tanh, "
                "sigmoid, softplus, relu, sign, clamp(x, low, high); min, max, mean, sum, softmax, logsumexp of "
                "several numbers; pi, e. Any other name becomes a parameter, at most six."
            ),
            "checks": tr("What a search for counter-examples finds"),
            "properties": _properties(),
        },
    }


def _properties() -> dict[str, dict[str, Any]]:
    """For each property its name, and what is said where it was not refuted, refuted, or could not be tried."""
    yes = tr("not refuted in {trials} trials")
    none = tr("no finite values to compare")
    return {
        "convex": {
            "label": tr("Convex in the prediction"),
            "yes": yes,
            "none": none,
            "no": {"": tr("at {middle} it is {high}, above the mean {low} of {pred} and {other} (label {target})")},
        },
        "minimum": {
            "label": tr("Least at the label"),
            "yes": yes,
            "none": none,
            "no": {"": tr("{home} at the label {target}, only {value} at {pred}")},
        },
        "nonnegative": {
            "label": tr("Never negative"),
            "yes": yes,
            "none": none,
            "no": {"": tr("{value} at prediction {pred}, label {target}")},
        },
        "symmetric": {
            "label": tr("Symmetric"),
            "yes": yes,
            "none": none,
            "no": {"": tr("{value} at {pred}, but {mirrored} as far on the other side of the label {target}")},
        },
        "bounded": {
            "label": tr("Bounded slope: robust"),
            "yes": tr("at most {slope} in {trials} trials"),
            "none": none,
            "no": {
                "grows": tr("{before} at an error of {first}, {slope} at {at}"),
                "steep": tr("{slope} at an error of {at}"),
                "endless": tr("infinite at an error of {at}"),
            },
        },
        "smooth": {
            "label": tr("Smooth"),
            "yes": yes,
            "none": none,
            "no": {
                "jump": tr("jumps from {left} to {right} at {pred} (label {target})"),
                "kink": tr("slope {left} before {pred}, {right} after it (label {target})"),
                "bend": tr("around {pred} (label {target}) the slope changes by {bend} per unit, more the closer"),
            },
        },
        "finite": {
            "label": tr("A number everywhere"),
            "yes": yes,
            "none": none,
            "no": {
                "value": tr("no value at prediction {pred}, label {target}"),
                "slope": tr("no slope at prediction {pred}, label {target}"),
            },
        },
    }
