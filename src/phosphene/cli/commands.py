"""The commands by name: what `--help` says of each before its code, and all that it imports, is loaded."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command's code is the function of the same name in the module of the same name.

    That of a command with others beneath it is the `app` of that module.
    """

    name: str
    usage: str
    help: str
    examples: str
    beneath: tuple[Command, ...] = ()

    @property
    def place(self) -> str:
        return f"phosphene.cli.{self.name}:{'app' if self.beneath else self.name}"

    @property
    def looks(self) -> dict[str, str]:
        """What `--help` shows around the flags."""
        return {"usage": f"Usage: phosphene {self.usage} [OPTIONS]", "help_prologue": self.examples}


COMMANDS = (
    Command(
        "dream",
        "dream PHOTO... [-o OUT]",
        "Dream on photos. Ctrl-C saves what there is; a second one ends at once.",
        """\
Examples:
  phosphene dream photo.jpg -o dream.png
  phosphene dream *.jpg -o dreams/ --skip-existing
  phosphene dream photo.jpg --preset animals --strength 1.5 --seed 7
  phosphene dream photo.jpg --objective "blocks.4.1:12 + 0.5*blocks.3.2"
  phosphene dream photo.jpg --preset classic --weights bvlc_googlenet.safetensors --guide flowers.jpg
  cat photo.jpg | phosphene dream - -o - > dream.png
""",
    ),
    Command(
        "visualize",
        "visualize MODEL OBJECTIVE... [-o OUT]",
        "What units want to see, from noise, and their activation beside that on natural photos.",
        """\
Examples:
  phosphene visualize efficientnet_lite2 blocks.4.1:12 -o unit.png
  phosphene visualize efficientnet_lite2 blocks.3.1:0-15 -o sheet.png --report
  phosphene visualize efficientnet_lite0 'blocks.2.1:*' -o units/ --size 160
  phosphene visualize efficientnet_lite2 'class:husky - class:wolf' -o husky.png --param maco
""",
    ),
    Command(
        "video",
        "video FILM [-o OUT]",
        "Dream on a film; the dream is carried along with what moves, so it doesn't flicker.",
        """\
Examples:
  phosphene video holiday.mp4 -o dream.mp4
  phosphene video holiday.mp4 -o look.mp4 --preview
  phosphene video holiday.mp4 -o dream.mp4 --resume
  phosphene video holiday.mov -o stills/ --start 10 --end 12.5 --every 2
""",
    ),
    Command(
        "zoom",
        "zoom PHOTO [-o OUT]",
        "Fly into a photo: each frame is the dream of the last one, a little enlarged.",
        """\
Examples:
  phosphene zoom photo.jpg -o zoom.mp4 --frames 200 --fps 25
  phosphene zoom photo.jpg -o turn.mp4 --rotate 1 --target 0.3,0.6 --easing in-out
  phosphene zoom photo.jpg -o loop.gif --frames 60 --loop --max-size 320
  phosphene zoom sky.jpg -o classic.mp4 --preset classic --weights bvlc_googlenet.safetensors
""",
    ),
    Command(
        "catalog",
        "catalog MODEL -o SITE",
        "Every unit of a network as a site to browse: pictures, figures, photos. It can always go on.",
        """\
Examples:
  phosphene catalog efficientnet_lite0 -o site/ --layers 'blocks.[0-2].?'
  phosphene catalog efficientnet_lite0 -o site/ --layers 'blocks.*' --every 4 --workers 2 --dry-run
  phosphene catalog torchvision:googlenet -o site/ --units 0:16 --kinds noise,diverse,dream,photos
  phosphene catalog status site/
  phosphene catalog merge before/ after/ -o both/
""",
        (
            Command(
                "status",
                "catalog status SITE",
                "How far a catalog is: layers, rate, time left, what failed.",
                """\
Examples:
  phosphene catalog status site/
  phosphene catalog status site/ --json
""",
            ),
            Command(
                "merge",
                "catalog merge SITE SITE -o SITE",
                "Put catalogs side by side in one site: two networks, or one before and after training.",
                """\
Examples:
  phosphene catalog merge before/ after/ -o both/
""",
            ),
        ),
    ),
    Command(
        "studio",
        "studio",
        "Open the studio in the browser: dream, watch, keep.",
        """\
Examples:
  phosphene studio
  phosphene studio --port 9000 --data ~/dreams --no-open
""",
    ),
    Command(
        "replay",
        "replay FILE [PHOTO] [-o OUT]",
        "Make a picture again, bit for bit on the same machine; flags change the recipe.",
        """\
Examples:
  phosphene replay dream.png -o again.png
  phosphene replay dream.png other.jpg -o other-dream.png --seed 8
""",
    ),
    Command(
        "show",
        "show FILE",
        "The recipe in a picture: how it was made, from what, with what.",
        """\
Examples:
  phosphene show dream.png
  phosphene show dream.png --json
""",
    ),
    Command(
        "layers",
        "layers [MODEL]",
        "The layers of a network: names for --objective, shapes, receptive fields, and what they cost.",
        """\
Examples:
  phosphene layers
  phosphene layers bvlc_googlenet --json
  phosphene layers torchvision:resnet50 --size 640x480
  phosphene layers --pictures layers.png --photo photo.jpg --layers "blocks.4.*"
""",
    ),
    Command(
        "models",
        "models [pull NAME]",
        "The networks and the named looks (presets) that there are; how to get their weights.",
        """\
Examples:
  phosphene models
  phosphene models --json
  phosphene models pull torchvision:googlenet
""",
        (
            Command(
                "pull",
                "models pull NAME",
                "Download a network's weights from their publisher, after asking; checked, and resumed.",
                """\
Examples:
  phosphene models pull torchvision:googlenet
  phosphene models pull bvlc_googlenet --yes
  phosphene models pull torchvision:vgg16 --url https://mirror.example.org/vgg16-397923af.pth
""",
            ),
        ),
    ),
    Command(
        "config",
        "config",
        "The settings in force, as TOML.",
        """\
Examples:
  phosphene config --show-origin
  phosphene config --preset classic > phosphene.toml
""",
    ),
    Command(
        "doctor",
        "doctor",
        "What a bug report needs: this machine, its libraries, the settings; and whether a dream works.",
        """\
Examples:
  phosphene doctor
  phosphene doctor --json
""",
    ),
)
