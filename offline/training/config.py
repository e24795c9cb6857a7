"""What a training run is: heads, data, stages. One TOML file, every key checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from offline.errors import InputError
from onboard.stills import FOV_RANGE_DEG

ROAD_SCENE_CONFIG = Path(__file__).resolve().parent / "road_scene.toml"
"""The configuration of the released model."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SynthSource(_Strict):
    """A set made by `gradewise-offline synth`; its own splits are kept."""

    kind: Literal["synth"]
    path: Path
    share: float = Field(
        default=1.0, gt=0, description="Share of a batch, relative to other sources."
    )
    roads: int | None = Field(default=None, gt=0, description="Use only the first so many roads.")


class VideoSource(_Strict):
    """A video with a label table beside it; split by stretches of time with gaps between."""

    kind: Literal["video"]
    path: Path
    labels: Path = Field(description="CSV: t_s and one column a head; blank is unlabelled.")
    share: float = Field(default=1.0, gt=0)
    train_s: list[tuple[float, float]] = Field(default_factory=list)
    validation_s: list[tuple[float, float]] = Field(default_factory=list)
    trust: dict[str, float] = Field(
        default_factory=dict, description="Weight of a head's labels from this source, 0 to 1."
    )
    fov_deg: float | None = Field(
        default=None,
        ge=FOV_RANGE_DEG[0],
        le=FOV_RANGE_DEG[1],
        description="Horizontal field of view of its camera.",
    )


class TableSource(_Strict):
    """A CSV of pictures: file and a column a head (or `label` for a single head).

    Optional columns: `sequence` and `t_s` make stacks of frames that belong together; `split`
    (train, validation or test) says where a picture belongs, otherwise `validation_share` of the
    sequences or pictures is held out.
    """

    kind: Literal["table"]
    path: Path
    share: float = Field(default=1.0, gt=0)
    validation_share: float = Field(default=0.2, gt=0, lt=1)


class FolderSource(_Strict):
    """One folder of pictures a class, for a network with one head."""

    kind: Literal["folders"]
    path: Path
    share: float = Field(default=1.0, gt=0)
    validation_share: float = Field(default=0.2, gt=0, lt=1)


Source = Annotated[
    SynthSource | VideoSource | TableSource | FolderSource, Field(discriminator="kind")
]


class Stage(_Strict):
    """A stretch of training at one picture size."""

    shrink: Literal[1, 2, 4] = Field(
        default=1,
        description="Average pictures down by this factor first: 2 trains four times as fast. "
        "The released network keeps the last stage's averaging as its first layer.",
    )
    steps: int = Field(gt=0)
    batch: int = Field(default=64, gt=0, le=1024)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    warmup_steps: int = Field(default=100, ge=0)


class Augmentation(_Strict):
    """Random changes to a training stack; its planes always change together."""

    mirror: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="Per head, classes that swap when the picture is mirrored; a head that is "
        "not named keeps its class. Leave `mirror_share` at 0 where mirroring would lie.",
    )
    mirror_share: float = Field(default=0.0, ge=0, le=1)
    shift: float = Field(
        default=0.06, ge=0, le=0.5, description="Largest shift, share of the size."
    )
    zoom: float = Field(default=0.15, ge=0, lt=1)
    rotate_deg: float = Field(default=1.5, ge=0, le=45)
    gamma: float = Field(default=0.5, ge=0, le=2, description="Largest log2 of the gamma.")
    contrast: float = Field(default=0.4, ge=0, lt=1)
    noise: float = Field(default=0.04, ge=0, le=0.5)
    blur_share: float = Field(default=0.25, ge=0, le=1)
    cutout_share: float = Field(default=0.3, ge=0, le=1)
    standing_share: float = Field(
        default=0.06, ge=0, le=1, description="Share of stacks shown as if the vehicle stood still."
    )
    unlevelled_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of stacks shown as if the camera's mounting was not known.",
    )


class Goal(_Strict):
    """A figure that the model should reach; see `card.reached` for what can be named."""

    text: str
    section: str
    head: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Goal:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a goal needs either at_least or at_most")
        return self


class CardText(_Strict):
    """What people wrote for the model card."""

    summary: list[str] = Field(default_factory=list)
    shortfalls: list[str] = Field(default_factory=list)
    goals: list[Goal] = Field(default_factory=list)


class TrainingConfig(_Strict):
    """A training run."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    version: str = Field(default="0.1", min_length=1)
    heads: dict[str, list[str]] = Field(min_length=1)
    data: list[Source] = Field(min_length=1)
    stages: list[Stage] = Field(min_length=1)
    augmentation: Augmentation = Augmentation()
    card: CardText = CardText()
    width_multiplier: float = Field(default=0.25, gt=0, le=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    label_smoothing: float = Field(default=0.03, ge=0, lt=0.5)
    class_balance: float = Field(
        default=0.5, ge=0, le=1, description="0 counts every frame alike, 1 every class alike."
    )
    auxiliary_weight: float = Field(
        default=0.3, ge=0, description="Weight of grade, heading, curvature and horizon targets."
    )
    single_frame: bool = Field(
        default=False, description="Show the labelled frame alone, not its stack."
    )
    validate_every: int = Field(default=500, gt=0)
    patience: int = Field(default=8, gt=0, description="Validations without gain that end a stage.")
    calibration_frames: int = Field(default=400, gt=0, description="Frames that set int8 ranges.")
    undetermined_below: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="A head's best probability below this is undetermined; by default found on "
        "validation frames (`calibration.decision_threshold`).",
    )
    needs_sensors: list[str] = Field(
        default_factory=list,
        description="Heads that are right too seldom on real frames to exonerate by themselves.",
    )
    seed: int = 0
    work: Path = Field(
        default=Path("~/.cache/gradewise/training"), description="Checkpoints and TensorBoard logs."
    )
    release: Path = Field(
        default=Path("model"), description="Folder the finished model is written to."
    )

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        for head, classes in self.heads.items():
            if len(classes) < 2 or len(set(classes)) != len(classes):
                raise ValueError(f"head {head!r} needs at least two classes, each named once")
        foreign = [head for head in self.needs_sensors if head not in self.heads]
        if foreign:
            raise ValueError(f"needs_sensors names {foreign}: no head")
        if len(self.heads) != 1 and any(source.kind == "folders" for source in self.data):
            raise ValueError("a folder per class fits a network with one head only")
        for head, swaps in self.augmentation.mirror.items():
            known = set(self.heads.get(head, ()))
            unknown = (set(swaps) | set(swaps.values())) - known
            if unknown:
                raise ValueError(f"augmentation.mirror.{head} names {sorted(unknown)}: no class")
        return self


def load_config(file: Path) -> TrainingConfig:
    """Read a configuration; relative paths in it start from the file's folder.

    Raises
    ------
    InputError
        The file cannot be read, is no TOML, or a key is unknown or out of range.
    """
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: no TOML ({error})") from error
    try:
        config = TrainingConfig.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "configuration"
        raise InputError(f"{file}: {place}: {first['msg']}") from error
    base = file.resolve().parent

    def rooted(path: Path) -> Path:
        path = path.expanduser()
        return path if path.is_absolute() else base / path

    sources = []
    for source in config.data:
        changed = {"path": rooted(source.path)}
        if isinstance(source, VideoSource):
            changed["labels"] = rooted(source.labels)
        sources.append(source.model_copy(update=changed))
    return config.model_copy(
        update={"data": sources, "work": rooted(config.work), "release": rooted(config.release)}
    )
