"""The only room that knows Streamlit: words, the shared frame and the components that pages mount."""

from pathlib import Path

WEB = Path(__file__).parent / "web"
"""The components' style sheet and ES modules, served by the app as they are."""
