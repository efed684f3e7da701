"""The main script: the shared frame around the page that the address names."""

from lossviz.ui.frame import frame

frame()
