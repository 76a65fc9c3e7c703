"""What newcomers read is true: snippets and examples run as written, links lead somewhere."""

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from cyclopts import App
from PIL import Image, ImageOps
from rich.console import Console

from docs_pages import PAGES, ROOT, anchors, links, name, prose, snippets

sys.path.insert(0, str(ROOT))

from benchmarks.raylets import QUIET as QUIET_RAY
from benchmarks.raylets import raylets

from phosphene import evidence, expression, models
from phosphene.cli import main, outputs
from phosphene.config import Dream
from phosphene.film import timeline
from phosphene.film.motion import Motion
from studios import Studio
from towers import clip_folder

LIST = tomllib.loads((ROOT / "docs" / "gallery.toml").read_text(encoding="utf-8"))
STUDIO = "http://127.0.0.1:8347"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
QUICK = {"PHOSPHENE_MAX_SIZE": "96", "PHOSPHENE_OCTAVES": "1", "PHOSPHENE_STEPS": "2"}
FEW = ["--units", "0:1", "--size", "32", "--crops", "40", "--workers", "1"]  # of a catalog
STARTS = ("phosphene ", "make ", "pip ", "python3 ")
COMMANDS = (
    "dream",
    "visualize",
    "video",
    "zoom",
    "catalog",
    "catalog status",
    "catalog merge",
    "studio",
    "replay",
    "show",
    "layers",
    "models",
    "models pull",
    "config",
    "doctor",
    "--install-completion",
)
load = cache(models.load)


@pytest.fixture(scope="module")
def googlenet(tmp_path_factory):
    """By the name of the Caffe Model Zoo's file, one with other numbers (files are told by their content)."""
    import torch
    from safetensors.torch import save_file

    from phosphene.models.bvlc_googlenet import BVLCGoogLeNet

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "bvlc_googlenet.caffemodel"
    save_file(BVLCGoogLeNet().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A small CLIP, as the hub's cache would have the large one."""
    place = tmp_path_factory.mktemp("hub") / "models--openai--clip-vit-base-patch32"
    (place / "refs").mkdir(parents=True)
    (place / "refs/main").write_text("0" * 40)
    clip_folder(place / "snapshots" / ("0" * 40))
    return place.parent


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory):
    """By the name of torchvision's file, one with other numbers."""
    import torch
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1.pth"
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def cluster(request):
    """What `--ray auto` finds: begun by itself, and again where the machine was too busy for it."""
    with raylets(1) as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", found.address)
        for name, value in QUIET_RAY.items():
            patch.setenv(name, value)
        yield found


@pytest.fixture
def desk(tmp_path, monkeypatch, one_thread, googlenet, squeezenet, clip):
    """The folder a reader works in, with small pictures by the names that the docs use."""
    monkeypatch.chdir(tmp_path)
    for variable in [key for key in os.environ if key.startswith("PHOSPHENE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(clip))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(models, "load", load)
    photo = ImageOps.contain(Image.open(ROOT / "examples" / "photo.jpg").convert("RGB"), (96, 96))
    for folder in ("examples", "holiday", "photos", "dreams"):
        (tmp_path / folder).mkdir()
    photos = [name for name in LIST["photos"] if name != "photo.jpg"]  # the gallery's
    for path in (
        "photo.jpg",
        "examples/photo.jpg",
        "holiday/1.jpg",
        "holiday/2.jpg",
        "photos/1.jpg",
        *photos,
    ):
        photo.save(path)
    ImageOps.flip(ImageOps.invert(photo)).save("flowers.jpg")
    ramp = np.linspace(0, 255, photo.width, dtype=np.uint8)
    Image.fromarray(np.tile(ramp, (photo.height, 1))).save("mask.png")
    film(tmp_path / "holiday.mp4", np.asarray(photo)[:64])
    (tmp_path / "flight.toml").write_text(
        '[[keyframe]]\nat = "100%"\nobjective = "blocks.3.2"\nzoom = 0.01\n'
    )
    (tmp_path / "list.txt").write_text("photo.jpg\nflowers.jpg\n")
    for weights in (googlenet, squeezenet):
        (tmp_path / weights.name).symlink_to(weights)
    return tmp_path


def film(path, still):
    """A few stills that move."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = still.shape[1], still.shape[0], "yuv420p"
        for number in range(8):
            pixels = np.ascontiguousarray(np.roll(still, number, 1))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        file.mux(stream.encode(None))


def execute(line, monkeypatch):
    """One line of a shell, with `<` and `>`: the exit code, and all that was printed."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="<>|;&")
    reader.whitespace_split = True
    words = list(reader)
    files = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i] in ("<", ">")}
    for mark, file in files.items():
        words.remove(mark)
        words.remove(file)
    assert words[0] == "phosphene", f"`{line}` is no command that can be run here"
    if "--max-memory" in words:
        return alone(words[1:])
    printed = io.BytesIO()
    with monkeypatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setattr(App, "console", property(lambda _: Console(width=200)))  # else the first is kept
        if words[1] == "visualize":
            patch.setenv("PHOSPHENE_STEPS", "2")
            patch.setattr(evidence.survey, "__defaults__", (40,))  # crops
        if words[1] == "catalog" and words[2] not in ("status", "merge"):
            patch.setenv("PHOSPHENE_STEPS", "2")
            words += FEW
        if words[1] in ("dream", "video", "zoom"):
            for variable, value in QUICK.items():
                patch.setenv(variable, value)
        stdin = stack.enter_context(Path(files["<"]).open("rb")) if "<" in files else io.BytesIO()
        stdout = stack.enter_context(Path(files[">"]).open("wb")) if ">" in files else printed
        patch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
        patch.setattr(sys, "stdout", io.TextIOWrapper(stdout, "utf-8", write_through=True))
        patch.setattr(sys, "stderr", io.TextIOWrapper(printed, "utf-8", write_through=True))
        code = main(words[1:])
        sys.stdout.detach(), sys.stderr.detach()
    return code, printed.getvalue().decode()


def alone(words):
    """In a process of its own, as what this one holds counts too: a budget is the whole process's."""
    command = [sys.executable, "-m", "phosphene", *words]
    done = subprocess.run(command, env=os.environ | QUICK, stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode, (done.stdout + done.stderr).decode()


def run_bash(snippet, monkeypatch):
    for line in snippet.text.replace("\\\n", " ").splitlines():
        if line.partition("#")[0].strip():
            code, printed = execute(line, monkeypatch)
            assert code == 0, f"{line}\n{printed}"


def run_console(snippet, monkeypatch):
    """Commands after `$`; of what they print, the lines below must be there, `…` standing for anything."""
    for part in re.split(r"^\$ ", snippet.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        code, printed = execute(line, monkeypatch)
        assert code == (2 if "phosphene: E_" in shown else 0), f"{line}\n{printed}"
        lines = [" ".join(text.split()) for text in printed.splitlines()]
        for text in shown.splitlines():
            pattern = ".*".join(re.escape(piece) for piece in " ".join(text.split()).split("…"))
            assert any(re.fullmatch(pattern, line) for line in lines), f"no {text!r} in\n{printed}"


def run_python(snippet, names):
    with studio_at(snippet.text) as text:
        exec(compile("\n" * (snippet.line - 1) + text, str(snippet.page), "exec"), names)


@contextlib.contextmanager
def studio_at(text):
    """The text, with the address of a studio that runs, where it needs one."""
    if STUDIO not in text:
        yield text
        return
    studio = Studio(Path("studio"))
    yield text.replace(STUDIO, studio.url)
    studio.stop()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_snippets_run_as_written(page, desk, monkeypatch, request):
    names = {"__name__": "snippets"}
    if any("--ray auto" in snippet.text for snippet in snippets(page) if not snippet.reason):
        request.getfixturevalue("cluster")
    for snippet in snippets(page):
        if snippet.reason:
            continue
        if snippet.kind == "python":
            run_python(snippet, names)
        elif snippet.kind == "bash":
            run_bash(snippet, monkeypatch)
        elif snippet.kind == "console":
            run_console(snippet, monkeypatch)
        elif "[[keyframe]]" in snippet.text:
            timeline.parse(tomllib.loads(snippet.text), Dream(), Motion(), "blocks.4.1", frames=100, fps=25)
        elif snippet.kind == "toml":
            Dream.read(tomllib.loads(snippet.text), f"{name(page)}:{snippet.line}")
        else:
            assert snippet.kind == "text", f"{name(page)}:{snippet.line}: what is this?"


def test_what_is_not_run_is_little_and_says_why():
    every = [snippet for page in PAGES for snippet in snippets(page)]
    assert len([snippet for snippet in every if snippet.reason]) <= 9
    for snippet in every:
        if snippet.kind == "text":
            assert not snippet.text.startswith(STARTS), f"{name(snippet.page)}:{snippet.line}: a command"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path, desk, monkeypatch, capsys, request):
    if "ray" in path.stem:
        request.getfixturevalue("cluster")
    assert len(path.read_text().splitlines()) <= 40
    before = set(desk.iterdir())
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    assert set(desk.iterdir()) > before
    assert "False" not in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in links(page):
        url = urlsplit(link)
        if url.scheme:
            assert url.hostname in ("keepachangelog.com", "semver.org"), link
            continue
        target = (page.parent / url.path).resolve() if url.path else page
        assert target.exists() and target.is_relative_to(ROOT), link
        assert not url.fragment or url.fragment in anchors(target), link


@pytest.mark.parametrize("path", [*PAGES, *EXAMPLES, ROOT / "docs" / "generate.py"], ids=name)
def test_nothing_of_this_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.$~/-])/(?:home|root|Users|tmp|var|opt|usr|mnt|work)\b", text)
    assert str(ROOT) not in text


def test_made_pages_are_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]
    for file, page in pages.items():
        assert (ROOT / "docs" / file).read_text(encoding="utf-8") == page(), "run `make docs`"


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_error_codes_are_told():
    told = set(re.findall(r"^\| `(E_\w+)` \|", prose(ROOT / "docs" / "commands.md"), re.MULTILINE))
    sources = (ROOT / "src").rglob("*.py")
    raised = {code for path in sources for code in re.findall(r'"(E_[A-Z_]+)"', path.read_text("utf-8"))}
    assert told == raised


def test_words_and_fields_are_told():
    objectives = prose(ROOT / "docs" / "objectives.md")
    for word, (usage, _) in expression.WORDS.items():
        assert f"`{word}({usage})`" in objectives
    commands = prose(ROOT / "docs" / "commands.md")
    for field in outputs.FIELDS:
        assert f"`{{{field}}}`" in commands


def test_rooms_are_told():
    (rooms,) = [
        text for _, _, kind, text, _ in snippets(ROOT / "docs" / "architecture.md") if "config.py" in text
    ]
    told = re.findall(r"^  (\w+)(?:\.py|/) +\w", rooms, re.MULTILINE)
    there = [path.stem for path in (ROOT / "src" / "phosphene").iterdir() if path.suffix in (".py", "")]
    assert sorted(told) == sorted(room for room in there if not room.startswith("__"))


def test_flags_that_are_told_exist(desk, monkeypatch):
    flag = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
    help_ = "".join(execute(f"phosphene {command} --help", monkeypatch)[1] for command in ("", *COMMANDS))
    help_ += (ROOT / "benchmarks" / "__main__.py").read_text(encoding="utf-8")
    for page in PAGES:
        unknown = set(flag.findall(page.read_text(encoding="utf-8"))) - set(flag.findall(help_))
        assert not unknown, name(page)
