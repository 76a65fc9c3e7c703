"""`phosphene models`: the networks, whether their weights are here, and the looks."""

from __future__ import annotations

from cyclopts import App

from phosphene import plugins
from phosphene.cli.commands import COMMANDS
from phosphene.cli.flags import Talk
from phosphene.cli.report import Report
from phosphene.cli.table import print_table
from phosphene.models import Model

COMMAND = next(command for command in COMMANDS if command.name == "models")

app = App(name=COMMAND.name, help=COMMAND.help, help_format="plaintext", **COMMAND.looks)  # type: ignore[arg-type]
for command in COMMAND.beneath:
    app.command(command.place, name=command.name, help=command.help, **command.looks)


@app.default
def models(*, talk: Talk = Talk()) -> None:  # noqa: B008
    """The networks and the named looks (presets) that there are; how to get their weights."""
    from phosphene import models as registry
    from phosphene.presets import PRESETS

    if talk.json:
        report = Report(events=True)
        for model in registry.available():
            report.event("model", **vars(model), **whereabouts(model))
        for name, package in plugins.added("source").items():
            report.event("source", name=f"{name}:", package=package)
        for name, (summary, settings) in PRESETS.items():
            report.event("preset", name=name, summary=summary, settings=settings)
        return
    networks = [
        (model.name, model.objective or "found by looking", state(model), model.summary)
        for model in registry.available()
    ]
    print_table(("--model", "objective", "weights", "what it is"), networks, "Networks")
    missing = [model.name for model in registry.available() if not whereabouts(model)["ready"]]
    if missing:
        print(
            "\nWeights that aren't here are got with `phosphene models pull NAME`, or given with --weights."
        )
    if added := plugins.added("source"):
        print()
        rows = [(f"{name}:…", package) for name, package in added.items()]
        print_table(("--model", "package"), rows, "Networks of other packages")
    print()
    print_table(("--preset", "what it does"), [(name, text) for name, (text, _) in PRESETS.items()], "Looks")


def whereabouts(model: Model) -> dict[str, str | bool]:
    """Whether the weights are on this machine, the file if it is one of its own, and what gets them."""
    from phosphene.models import pull

    file = pull.seems_here(model.name)
    ready = bool(file) or not model.needs_weights
    known = model.name in pull.PUBLISHED
    get = f"phosphene models pull {model.name}" if known and not ready else ""
    return {"ready": ready, "file": file, "get": get}


def state(model: Model) -> str:
    found = whereabouts(model)
    if found["ready"]:
        return "here"
    return "pull" if found["get"] else "--weights"
