"""Where a page or pictures may be written: never over something else."""

from pathlib import Path

from esmm_dist.errors import ConfigError

_PAGE_BEGIN = b"<!doctype html"


def check_places(html: Path | None, png: Path | None) -> None:
    """Refuse places where no page or picture can be written, or where one would replace something else.

    It is asked before long work, so that what was computed is not lost at its end.

    Args:
        html: file of a page; None: none is written
        png: folder of pictures; None: none is written

    Raises:
        ConfigError: A place is taken, or a folder on the way to it is a file.
    """
    for setting, path in (("html", html), ("png", png)):
        above = next((each for each in (path.parents if path is not None else ()) if each.exists()), None)
        if above is not None and not above.is_dir():
            raise ConfigError(f"{setting} is {path}, and {above} is a file, not a folder. Name another place.")
    if html is not None and html.exists():
        if not html.is_file():
            raise ConfigError(f"html is {html}, which is not a file. Name a file, such as {html.name or 'data'}.html.")
        with html.open("rb") as file:
            begin = file.read(len(_PAGE_BEGIN))
        if begin and begin.lower() != _PAGE_BEGIN:
            raise ConfigError(
                f"html is {html}, a file that holds no page: it is not written over. Name another file, or move "
                "it away."
            )
    if png is not None and png.exists() and not png.is_dir():
        raise ConfigError(f"png is {png}, which is a file. Name a folder: each picture is a file in it.")
