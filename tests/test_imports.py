"""Which room may import which, read from the syntax trees: DESIGN's directions, kept."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import phosphene

SOURCE = Path(phosphene.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 300

ORDER = [  # a room imports from the lines above its own only
    "errors",
    "checks plugins",
    "config folder homes ledger outputs lock presets",
    "budget canvas color ascent noise redirect transform",
    "param gradient octave state",
    "address crops inputs tokens",
    "capture presented",
    "survey",
    "ways",
    "lens",
    "intake objective",
    "picture layers models",
    "album words penalty",
    "attention compare prompt",
    "expression frame tile",
    "memory",
    "engine",
    "evidence features",
    "page",
    "recipe settings checkpoint widget",
    "film",
    "studio catalog",
    "cli",
    "__main__",
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms.split()}
LATE = {  # what a room may import inside its functions only
    "words": {"phosphene.picture", "phosphene.models.imagenet"},
    "compare": {"phosphene.picture"},
    "frame": {"phosphene.picture"},
}
AROUND = {
    "album",
    "features",
    "evidence",
    "page",
    "ledger",
    "lock",
    "checkpoint",
    "picture",
    "layers",
    "models",
    "recipe",
    "settings",
    "widget",
    "film",
    "studio",
    "catalog",
    "cli",
    "__main__",
}
CORE = RANK.keys() - AROUND
THIRD = {  # who may import what is neither ours nor Python's
    "torch": {
        *CORE,
        "album",
        "catalog",
        "checkpoint",
        "evidence",
        "features",
        "film",
        "layers",
        "page",
        "picture",
        "models",
        "studio",
        "cli",
    },
    "numpy": {
        *("crops", "prompt", "frame", "noise", "param", "state", "transform", "engine", "tile"),
        *("catalog", "evidence", "film", "page", "picture", "models", "studio", "cli"),
    },
    "pydantic": {"catalog", "config", "recipe", "settings", "studio", "cli"},
    "cyclopts": {"cli"},
    "rich": {"cli"},
    "psutil": {"budget", "cli"},
    "PIL": {"page", "picture", "studio", "widget"},
    "anywidget": {"widget"},
    "traitlets": {"widget"},
    "fastapi": {"studio"},
    "httpx": {"studio"},
    "websockets": {"studio"},
    "fsspec": {"catalog"},
    "umap": {"catalog"},
    "starlette": {"studio"},
    "uvicorn": {"studio", "cli"},
    "av": {"film"},
    "cv2": {"film"},
    "pillow_heif": {"picture"},
    "pyvips": {"picture"},
    "ray": {"catalog"},
    "safetensors": {"checkpoint", "models"},
    "timm": {"models"},
    "transformers": {"models"},
    "open_clip": {"models"},
    "torchvision": {"models"},
}
NETWORK = {"socket", "ssl", "urllib", "urllib3", "http", "ftplib", "smtplib", "xmlrpc", "webbrowser"} | {
    *("requests", "httpx", "aiohttp", "websockets", "huggingface_hub", "torch.hub"),
}
SERVES = {"cli/studio.py", "studio/client.py", "studio/networks.py", "studio/safety.py"}  # on this machine
JOINS = {"catalog/cluster.py", "catalog/pulse.py"}  # whatever cluster it is told to
NEVER_IN_THE_CORE = {"logging", "asyncio", "threading", "multiprocessing", "subprocess", "ray", "warnings"}


def room(path):
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def for_types_only(node):
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


@cache
def tree(path):
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path):
    """(module, whether inside a function) of every import that runs."""

    def walk(node, late):
        if for_types_only(node):
            return
        if isinstance(node, ast.Import):
            yield from ((alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module in ("phosphene", "phosphene.cli", "phosphene.models", "torch"):
                yield from ((f"{node.module}.{alias.name}", late) for alias in node.names)
            else:
                yield node.module, late
        late = late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, late)

    return list(walk(tree(path), False))


def ours(module):
    """The room of ours that `module` is in, or ''."""
    return (
        module.split(".")[1] if module.startswith("phosphene.") and module != "phosphene.__version__" else ""
    )


each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))


def test_every_room_has_its_place():
    rooms = {room(path) for path in FILES} - {"__init__"}
    assert rooms <= RANK.keys(), "a new room: decide what it stands on, then add it to ORDER"


@each_file
def test_imports_run_downward(path):
    mine = room(path)
    for module, late in imports(path):
        other = ours(module)
        if not other or other == mine:
            continue
        assert mine != "__init__", f"__init__ imports {module} eagerly"
        assert RANK[other] < RANK[mine], f"{mine} imports {module}"
        if other in {"picture", "models"} and mine in LATE:
            assert late and any(module.startswith(name) for name in LATE[mine]), f"{mine} imports {module}"


@each_file
def test_nobody_imports_the_command_line(path):
    if room(path) not in {"cli", "__main__"}:
        assert not [module for module, _ in imports(path) if module.startswith("phosphene.cli")]


@each_file
def test_libraries_stay_in_their_rooms(path):
    for module, _ in imports(path):
        top = module.split(".")[0]
        if top == "phosphene" or top in sys.stdlib_module_names or module.startswith(("fcntl", "msvcrt")):
            continue
        assert room(path) in THIRD.get(top, ()), f"{room(path)} imports {module}"


@each_file
def test_ray_is_imported_by_one_module_when_it_is_asked_for(path):
    found = [late for module, late in imports(path) if module.split(".")[0] == "ray"]
    assert all(found) and (not found or path == SOURCE / "catalog" / "cluster.py")


@each_file
def test_nothing_reaches_for_the_network(path):
    """Except what `phosphene models pull` and `--ray` are for, and the studio, which answers."""
    if path == SOURCE / "models" / "fetch.py" or path.relative_to(SOURCE).as_posix() in SERVES | JOINS:
        return
    for module, _ in imports(path):
        assert not any(module == name or module.startswith(name + ".") for name in NETWORK), module


@each_file
def test_the_core_computes_and_nothing_else(path):
    if room(path) in CORE:
        assert not {module.split(".")[0] for module, _ in imports(path)} & NEVER_IN_THE_CORE


@pytest.mark.parametrize(
    "name", ["engine", "frame", "state", "tile", "gradient", "param/begin", "lens", "objective"]
)
def test_what_the_loop_is_made_of_knows_no_file(name):
    for module, late in imports(SOURCE / f"{name}.py"):
        assert ours(module) not in {"models", "recipe", "settings", "checkpoint", "cli"}
        assert ours(module) != "picture" or (name == "frame" and late)
        assert module.split(".")[0] not in {"PIL", "pyvips", "rich", "os", "pathlib", "io", "tempfile"}


def test_settings_need_pydantic_only():
    found = {module.split(".")[0] for module, _ in imports(SOURCE / "config.py")}
    assert found <= {"pydantic", "phosphene", *sys.stdlib_module_names}
    assert {ours(module) for module, _ in imports(SOURCE / "config.py")} <= {"", "errors", "plugins"}


@each_file
def test_imports_by_name_at_run_time_are_rare(path):
    """`import_module` would slip past this test: it is for the lazy names and the weights' packages."""
    calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    assert not names & {"__import__", "eval", "exec"}
    if "import_module" in names | {call.attr for call in calls if isinstance(call, ast.Attribute)}:
        assert str(path.relative_to(SOURCE)) in {
            "__init__.py",
            "models/efficientnet_lite.py",
            "models/__init__.py",
            "models/sources/python.py",
        }


@each_file
def test_a_file_holds_one_idea(path):
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


def in_a_fresh_python(code):
    code = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
    )


@pytest.mark.parametrize(
    "code",
    [
        "import phosphene; dir(phosphene); phosphene.__version__",
        "import phosphene.config, phosphene.models",
        "from phosphene import Dream, PhospheneError",
        "import phosphene.cli",
    ],
)
def test_costs_no_torch(code):
    loaded = in_a_fresh_python(code)
    assert "phosphene" in loaded
    assert not loaded & {"torch", "torchvision", "timm", "PIL", "pyvips", "numpy", "rich.progress", "cv2"}


def test_a_picture_costs_no_compiler():
    """Which is seconds and 200 MB, and comes with PyTorch's classes of optimisers, among others."""
    loaded = in_a_fresh_python(
        "import phosphene\n"
        "lens = phosphene.load('efficientnet_lite0')\n"
        "for param in ('pixel', 'fourier', 'laplacian', 'cppn', 'maco'):\n"
        "    settings = phosphene.Dream(param=param, steps=1, octaves=1)\n"
        "    next(phosphene.visualize('blocks.0.0:1', lens, settings, size=32))"
    )
    assert "phosphene.engine" in loaded
    assert not loaded & {"torch._dynamo", "torch._inductor", "sympy", "timm", "matplotlib"}


class TestPublicNames:
    def test_all_can_be_imported(self):
        for name in phosphene.__all__:
            assert getattr(phosphene, name) is not None
        names = {}
        exec("from phosphene import *", names)
        assert {name for name in names if name != "__builtins__"} == set(phosphene.__all__)

    def test_all_is_what_type_checkers_see(self):
        (block,) = [
            node
            for node in ast.parse((SOURCE / "__init__.py").read_text("utf-8")).body
            if for_types_only(node)
        ]
        seen = {alias.asname for node in block.body for alias in node.names}
        assert {*seen, "__version__"} == set(phosphene.__all__) == set(dir(phosphene))

    def test_no_other_name(self):
        with pytest.raises(AttributeError, match="'dreem'"):
            phosphene.dreem  # noqa: B018

    def test_every_public_thing_has_a_docstring(self):
        for name in set(phosphene.__all__) - {"__version__"}:
            assert getattr(phosphene, name).__doc__
