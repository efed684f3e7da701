from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = (
    "gan_minimax",
    "gan_nonsaturating",
    "lsgan",
    "gan_hinge",
    "wgan",
    "gan_relativistic",
    "gradient_penalty",
)
