"""Every text for people goes through here: English sentences are their own message ids."""

from collections.abc import Mapping
from typing import Final

TRANSLATIONS: Final[Mapping[str, Mapping[str, str]]] = {}
"""By language, then by English sentence; what a language lacks is shown in English."""

LANGUAGE = "en"


def tr(message: str, /, **values: object) -> str:
    """Return ``message`` in the reader's language, with ``{name}`` replaced by ``values``."""
    text = TRANSLATIONS.get(LANGUAGE, {}).get(message, message)
    return text.format(**values) if values else text
