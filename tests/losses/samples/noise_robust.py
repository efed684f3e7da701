from sampling import CLASS_LOGITS, Sample

SAMPLES: dict[str, Sample] = {
    "generalized_ce": CLASS_LOGITS,
    "symmetric_ce": CLASS_LOGITS,
    "bi_tempered": CLASS_LOGITS,
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
