"""`--plain`, `--compile` and `--dtype`: what is done, said and recorded."""

import json

import pytest
import torch
from tiny import QUICK

from phosphene.models import device
from phosphene.picture import open_picture, read_recipe

LITE = ["--model", "efficientnet_lite0", "--objective", "blocks.2.1", "--device", "cpu"]


def recipe(path):
    return json.loads(read_recipe(path))["dream"]


def pixels(path):
    return open_picture(path).tensor() * 255


def test_plain_is_the_same_picture_up_to_rounding(photo, run):
    assert run("dream", photo, "-o", "fast.png", *LITE, *QUICK).code == 0
    assert run("dream", photo, "-o", "plain.png", *LITE, *QUICK, "--plain").code == 0
    assert run("dream", photo, "-o", "not.png", *LITE, *QUICK, "--no-plain").code == 0
    assert recipe("plain.png")["plain"] is True and recipe("not.png")["plain"] is False
    assert (pixels("fast.png") - pixels("plain.png")).abs().mean() < 0.5
    assert torch.equal(pixels("fast.png"), pixels("not.png"))


def test_compile_shows_its_warm_up_and_is_replayed(photo, run, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda part, **_: part)
    done = run("dream", photo, "-o", "compiled.png", *LITE, *QUICK, "--compile", "--json")
    notes = [event["message"] for event in done.events if event["event"] == "note"]
    assert done.code == 0 and any(note.startswith("compiling:") and note.endswith(" s") for note in notes)
    assert recipe("compiled.png")["compile"] is True
    again = run("replay", "compiled.png", "-o", "again.png")
    assert again.code == 0 and "compiling:" in again.err
    assert torch.equal(pixels("compiled.png"), pixels("again.png"))


def test_a_plan_compiles_nothing(photo, run, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    assert run("dream", photo, *LITE, *QUICK, "--compile", "--dry-run").code == 0


def test_without_a_compiler_it_is_one_line(photo, run, monkeypatch):
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    def absent(*_):
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", absent)
    layer = ["--model", "efficientnet_lite0", "--objective", "blocks.2.0", "--device", "cpu"]
    done = run("dream", photo, "-o", "out.png", *layer, *QUICK, "--compile")
    assert done.code == 2 and "E_DEVICE" in done.err and "Traceback" not in done.err
    assert "--compile" in done.err.splitlines()[-1]


def test_a_dtype_that_will_not_help_is_told_and_not_recorded(photo, run, monkeypatch):
    monkeypatch.setattr(device, "capabilities", lambda: frozenset({"avx2"}))
    done = run("dream", photo, "-o", "out.png", *LITE, *QUICK, "--dtype", "bfloat16", "--jitter", "31")
    assert done.code == 0 and "will not help" in done.err
    assert recipe("out.png")["dtype"] == "float32"
    planned = run("dream", photo, *LITE, *QUICK, "--dtype", "bfloat16", "--dry-run", "--json").events
    assert [event["dtype"] for event in planned if event["event"] == "plan"] == ["float32"]
    assert any("will not help" in event.get("message", "") for event in planned)


def test_a_dtype_that_the_processor_has_is_taken(photo, run, monkeypatch):
    monkeypatch.setattr(device, "capabilities", lambda: frozenset({"avx512_bf16"}))
    model = ["--model", "efficientnet_lite2", "--objective", "blocks.2.1", "--device", "cpu"]
    done = run("dream", photo, "-o", "out.png", *model, *QUICK, "--dtype", "bfloat16")
    assert done.code == 0 and "will not help" not in done.err
    assert recipe("out.png")["dtype"] == "bfloat16"
