from sampling import Sample

SAMPLES: dict[str, Sample] = {
    "pcgrad": Sample(draw=lambda s: {"grads": s.reals(s.rows, 3)}, rowwise=False),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("weighted_sum", "uncertainty_weighting", "gradnorm", "dwa")
