"""What axe finds wrong on a page in Chromium."""

from axe_playwright_python.base import AXE_SCRIPT

LOOK = "axe.run(document, {resultTypes: ['violations'], preload: false})"


def serious(page) -> list[str]:
    """What is serious or critical. The script comes by the debugger's protocol: no page's rules forbid it."""
    page.evaluate(AXE_SCRIPT)
    return [
        f"{each['id']}: {node['html']}"
        for each in page.evaluate(LOOK)["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
