"""What the scripts of the documentation share: their options, and pictures of little size."""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = Path(__file__).resolve().parent.parent / "pictures"


def options(about: str | None) -> argparse.Namespace:
    """Read what a script of the gallery takes: `quick` and `folder`."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=about, formatter_class=form)
    parser.add_argument("--quick", action="store_true", help="a small version, for the tests")
    parser.add_argument("--folder", type=Path, default=PICTURES, help="where the picture goes")
    return parser.parse_args()


def save(figure: Figure, path: Path) -> None:
    """Write a figure in few colours, which are enough and take little room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    image = Image.open(drawn).convert("RGB")
    image.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
