from dataclasses import replace

from sampling import NONNEGATIVE, POSITIVE, REGRESSION, Bad, Inputs, Sample, Source, of


def _wide(source: Source) -> Inputs:
    # Only numbers like 1e30 make a logarithm's root mean square large.
    return {"pred": source.reals(source.rows).abs(), "target": source.reals(source.rows).abs()}


def _counts(source: Source) -> Inputs:
    # Both a rate and the logarithm of one that does not overflow.
    rates = source.reals(source.rows).abs().clamp(1e-3, 20.0)
    return {"pred": rates, "target": source.pick([0.0, 1.0, 2.0, 5.0, 50.0], source.rows)}


def _mean_and_variance(source: Source) -> Inputs:
    return REGRESSION.draw(source) | {"var": source.positive(source.rows)}


SAMPLES: dict[str, Sample] = {
    "rmsle": replace(NONNEGATIVE, draw=_wide, rowwise=False, spread=30.0),
    "mape": REGRESSION,
    "smape": REGRESSION,
    "poisson_nll": Sample(
        draw=_counts,
        bad=(
            Bad("target", -1.0, r"target at \(0,\) is -1, allowed: 0 or more"),
            Bad("pred", -1.0, r"pred at \(0,\) is -1, allowed: 0 or more, since it is a rate", {"log_input": False}),
            Bad("pred", 0.0, r"is 0, allowed: above 0, since .* eps is 0", {"log_input": False, "eps": 0.0}),
        ),
        extremes=lambda d: [{"pred": of(d, 80, 80, 1e-3, 1e-3), "target": of(d, 0, 1e6, 0, 1e6)}],
        lowest=float("-inf"),
        mirror=REGRESSION.mirror,
        scales=("pred", "target"),
    ),
    "gaussian_nll": replace(
        REGRESSION,
        draw=_mean_and_variance,
        bad=(Bad("var", -0.5, r"var at \(0,\) is -0.5, allowed: 0 or more"),),
        extremes=lambda d: [
            {"pred": of(d, 1e6, -1e6, 0, 0), "target": of(d, -1e6, 1e6, 0, 0), "var": of(d, 0, 1e6, 0, 1e6)}
        ],
        lowest=float("-inf"),
    ),
    "gamma_deviance": POSITIVE,
    "tweedie_deviance": replace(
        POSITIVE,
        bad=(
            *POSITIVE.bad,
            Bad("target", -1.0, r"target at \(0,\) is -1, allowed: 0 or more"),
            Bad("target", 0.0, r"target at \(0,\) is 0, allowed: finite numbers above 0", {"power": 2.0}),
            Bad("pred", 1.0, "power is 0.5, allowed: 0 or less, or 1 or more", {"power": 0.5}),
        ),
        # At power -1 the textbook's formula, the independent check, loses digits as the cube of the label.
        reach=30.0,
        ends={"power": [-1.0, 0.0, 1.0, 1.0001, 2.0, 4.0]},
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
