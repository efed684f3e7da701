"""Nothing that axe calls serious or critical in what we draw, in light and dark."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from lossviz.scenes import SCENES
from tests.browser.stage import settle

PLACES = [
    "/",
    "/catalogue",
    "/catalogue?loss=welsch",
    *(f"/explore?scene={scene.key}" for scene in SCENES),
    "/explore?scene=critic&space=plane",
]


@pytest.mark.parametrize("path", PLACES)
def test_axe_finds_nothing_serious(visit: Any, site: Any, path: str):
    found: list[str] = []
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme).page(site.url + path)
        page.wait_for_selector(".lv-root [data-seq]", state="attached")
        if path not in ("/", "/catalogue"):
            # Home moves by itself, and the gallery draws what comes into sight.
            settle(page)
        results = Axe().run(page, context={"include": [[".lv-root"]]})
        found += [
            f"{scheme}: {violation['id']}: {violation['help']}: {violation['nodes'][0]['html'][:300]}"
            for violation in results.response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
    assert found == []
