"""Released models: one folder each, with the network, its label map and its card."""

from __future__ import annotations

from pathlib import Path

__all__ = ["locate"]


def locate(name: str) -> Path:
    """Folder of a released model.

    Parameters
    ----------
    name : str
        For instance ``road_scene``.

    Raises
    ------
    FileNotFoundError
        No model of that name was released; the message lists those that were.
    """
    root = Path(__file__).resolve().parent
    folder = root / name
    if Path(name).name != name or not (folder / "model.json").is_file():
        released = sorted(path.parent.name for path in root.glob("*/model.json"))
        raise FileNotFoundError(
            f"no released model {name!r}; released are: {', '.join(released) or 'none'}"
        )
    return folder
