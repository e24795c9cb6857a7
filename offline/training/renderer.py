"""Draws road scenes without a display: OpenGL through EGL, on a GPU or Mesa's llvmpipe."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline.errors import RuntimeMissingError
from offline.preprocessing import STILL_HEIGHT, STILL_WIDTH
from offline.training.drives import Drive, Movement
from offline.training.looks import Look
from offline.training.meshes import Material, Mesh
from offline.training.roads import RoadNetwork

SHADOW_SIZE: Final = 2048
NOISE_SIZE: Final = 512
NEAR_M: Final = 0.3
FAR_M: Final = 3500.0
MOST_JUNCTIONS: Final = 12
ACROSS: Final = 2
"""Columns drawn for each of a picture's: one sample a pixel draws upright edges to the columns."""
_SHADERS: Final = Path(__file__).resolve().parent / "shaders"
_ATTRIBUTES: Final = ("in_position", "in_normal", "in_uv", "in_color")
_RAGGED: Final = (Material.CROWN, Material.CONIFER, Material.HEDGE)
"""Surfaces with holes, which only their own programs know."""

Array = NDArray[np.float64]


class Renderer:
    """An offscreen renderer of 320x180 pictures; use as a context manager.

    Raises
    ------
    RuntimeMissingError
        moderngl is missing or no EGL device can be opened.
    """

    def __init__(self) -> None:
        try:
            moderngl: Any = importlib.import_module("moderngl")
        except ImportError as error:
            raise RuntimeMissingError(
                "synthetic roads need moderngl: pip install gradewise[synth]"
            ) from error
        try:
            context = moderngl.create_context(standalone=True, backend="egl")
        except Exception as error:
            raise RuntimeMissingError(
                f"no OpenGL through EGL ({error}): install Mesa's libegl1 and libgl1-mesa-dri"
            ) from error
        self._context = context
        self._depth_test = moderngl.DEPTH_TEST
        self._scene = {material: _scene_program(context, material) for material in Material}
        self._depth = {
            material: _scene_program(context, material, depth_only=True)
            for material in (*_RAGGED, Material.PLAIN)
        }
        self._sky = context.program(_source("sky.vert"), _source("sky.frag"))
        drawn = (ACROSS * STILL_WIDTH, STILL_HEIGHT)
        color = context.texture(drawn, 3, dtype="f2")
        depth = context.depth_renderbuffer(drawn)
        self._target = context.framebuffer([color], depth)
        self._shadow = context.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self._shadow.compare_func = ""
        self._shadow.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._shadow_target = context.framebuffer(depth_attachment=self._shadow)
        corners = np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32)
        self._sky_strip = context.vertex_array(
            self._sky, [(context.buffer(corners.tobytes()), "2f", "in_corner")]
        )
        self._triangle_strip = moderngl.TRIANGLE_STRIP
        self._noise = context.texture((NOISE_SIZE, NOISE_SIZE), 4, _noise_texture().tobytes())
        self._noise.build_mipmaps()
        self._noise.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
        self._noise.repeat_x = self._noise.repeat_y = True
        self._static: dict[Material, tuple[Any, Any]] = {}
        self._moving: list[dict[Material, tuple[Any, Any]]] = []
        self._held: list[Any] = []

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.release()

    def _upload(self, mesh: Mesh) -> dict[Material, tuple[Any, Any]]:
        """Per material, the triangles bound to its program and to its depth-only program."""
        uploaded = {}
        for material, vertices in mesh.vertices().items():
            buffer = self._context.buffer(vertices.tobytes())
            depth = self._depth[material if material in _RAGGED else Material.PLAIN]
            arrays = tuple(
                self._context.vertex_array(
                    program,
                    [(buffer, "3f 3f 2f 3f", *_ATTRIBUTES)],
                    skip_errors=True,
                )
                for program in (self._scene[material], depth)
            )
            self._held += [buffer, *arrays]
            uploaded[material] = (arrays[0], arrays[1])
        # Ragged surfaces last: what stands before them is then never drawn over.
        return dict(sorted(uploaded.items(), key=lambda item: item[0] in _RAGGED))

    def load(self, network: RoadNetwork, look: Look, static: Mesh, moving: list[Mesh]) -> None:
        """Take a new scene: what stands still and each moving vehicle."""
        for held in self._held:
            held.release()
        self._held = []
        self._static = self._upload(static)
        self._moving = [self._upload(mesh) for mesh in moving]
        junctions = network.junctions[:MOST_JUNCTIONS]
        padded = [(j.x, j.y, j.radius_m) for j in junctions]
        padded += [(0.0, 0.0, 0.0)] * (MOST_JUNCTIONS - len(junctions))
        for name, value in look.uniforms.items():
            self._set(name, value)
        self._set("u_sun_direction", look.sun_direction)
        self._set("u_junction", padded)
        self._set("u_junctions", len(junctions))
        self._cast_shadows(network, look)

    def _set(self, name: str, value: object) -> None:
        for program in (*self._scene.values(), *self._depth.values(), self._sky):
            if name in program:
                program[name].value = value

    def _cast_shadows(self, network: RoadNetwork, look: Look) -> None:
        path = network.main
        low = np.array([path.x.min(), path.y.min(), path.z.min()]) - 20.0
        high = np.array([path.x.max(), path.y.max(), path.z.max()]) + 20.0
        sun = np.asarray(look.sun_direction)
        right = np.cross([0.0, 0.0, 1.0], sun)
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(sun, right), -sun])
        boxed = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1])
                          for z in (low[2], high[2])]) @ axes.T  # fmt: skip
        least, most = boxed.min(0), boxed.max(0)
        least[2] -= 60.0  # what stands between the sun and the box casts shadows too
        scale = 2.0 / (most - least)
        matrix = np.eye(4)
        matrix[:3, :3] = axes * scale[:, None]
        matrix[:3, 3] = -(most + least) / 2.0 * scale
        self._write("u_sun", matrix)
        self._write("u_view_projection", matrix)
        self._write("u_model", np.eye(4))
        self._move(Movement.none(1), 0)
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        self._context.enable_only(self._depth_test)
        self._noise.use(0)
        self._set("u_noise", 0)
        for _, depth in self._static.values():
            depth.render()

    def _write(self, name: str, matrix: Array) -> None:
        packed = np.ascontiguousarray(matrix.T, np.float32).tobytes()
        for program in (*self._scene.values(), *self._depth.values()):
            if name in program:
                program[name].write(packed)

    def _move(self, movement: Movement, index: int) -> None:
        self._set("u_moved", tuple(movement.moved_m[index]))
        self._set("u_turned", tuple(movement.turned_rad[index]))

    def draw(self, drive: Drive, index: int, moving: list[Array]) -> NDArray[np.float32]:
        """Draw what the camera sees at one place of a drive.

        Parameters
        ----------
        moving : list of ndarray, shape (4, 4)
            Model matrix of each moving vehicle.

        Returns
        -------
        ndarray of float32, shape (180, 320, 3)
            Linear light, RGB, 1 being white before exposure.
        """
        axes, eye = drive.rotation[index], drive.eye[index]
        tangent = math.tan(drive.mounting.horizontal_fov_rad / 2.0)
        aspect = STILL_WIDTH / STILL_HEIGHT
        projection = np.zeros((4, 4))
        projection[0, 0] = 1.0 / tangent
        projection[1, 1] = aspect / tangent
        projection[2, 2] = -(FAR_M + NEAR_M) / (FAR_M - NEAR_M)
        projection[2, 3] = -2.0 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
        projection[3, 2] = -1.0
        view = np.eye(4)
        view[:3, :3] = axes
        view[:3, 3] = -axes @ eye
        self._target.use()
        self._target.clear()
        self._context.enable_only(self._depth_test)
        self._noise.use(0)
        self._shadow.use(1)
        self._set("u_shadow", 1)
        self._write("u_view_projection", projection @ view)
        self._write("u_model", np.eye(4))
        self._set("u_eye", tuple(eye))
        self._move(drive.movement, index)
        for arrays, matrix in zip(self._moving, moving, strict=True):
            self._write("u_model", matrix)
            for drawn, _ in arrays.values():
                drawn.render()
        self._write("u_model", np.eye(4))
        for drawn, _ in self._static.values():
            drawn.render()
        self._sky["u_camera"].write(np.ascontiguousarray(axes, np.float32).tobytes())
        self._sky["u_tangent"].value = (tangent, tangent / aspect)
        self._sky_strip.render(self._triangle_strip)
        raw = np.frombuffer(self._target.read(components=3, dtype="f2"), np.float16)
        drawn = raw.reshape(STILL_HEIGHT, STILL_WIDTH, ACROSS, 3)[::-1]
        return np.asarray(drawn.mean(axis=2, dtype=np.float32), np.float32)


def _scene_program(context: Any, material: Material, *, depth_only: bool = False) -> Any:
    version, rest = _source("scene.frag").split("\n", 1)
    defines = f"#define MATERIAL {int(material)}\n" + ("#define DEPTH_ONLY\n" if depth_only else "")
    return context.program(_source("scene.vert"), f"{version}\n{defines}{rest}")


def _source(name: str) -> str:
    return (_SHADERS / name).read_text(encoding="utf-8")


def _noise_texture() -> NDArray[np.uint8]:
    """Tiling noise with power at every scale, four independent channels.

    Each channel is white noise shaped in frequency (amplitude falling as f**-slope), then
    flattened to a uniform distribution so that contrast is high everywhere.
    """
    rng = np.random.default_rng(20)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(NOISE_SIZE), np.fft.fftfreq(NOISE_SIZE)))
    frequency[0, 0] = 1.0
    channels = []
    for slope in (0.9, 1.5, 1.2, 0.6):
        spectrum = np.fft.fft2(rng.normal(size=(NOISE_SIZE, NOISE_SIZE))) / frequency**slope
        spectrum[0, 0] = 0.0
        field = np.fft.ifft2(spectrum).real
        rank = np.empty(field.size)
        rank[np.argsort(field, axis=None)] = np.linspace(0, 255, field.size)
        channels.append(rank.reshape(field.shape))
    return np.ascontiguousarray(np.stack(channels, axis=-1), np.uint8)
