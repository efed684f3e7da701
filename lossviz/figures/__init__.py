"""Figure specs: layouts and traces as plain dicts that plotly.js draws; arrays arrive later, by socket.

A colour that depends on the theme is a token (``@text``, ``@muted``, ``@grid``, ``@surface``, ``@warm``) that the
component replaces by the theme's colour of the moment.
"""

from lossviz.figures.style import COLOURS, DASHES

__all__ = ["COLOURS", "DASHES"]
