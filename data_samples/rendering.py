"""Video of a synthetic road, drawn by the renderer that also makes training frames.

The road is one of `offline.training.roads` from a seed that training never uses; the vehicle
follows a given speed, so that video and OBD log tell of the same drive.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from offline.preprocessing import STILL_HEIGHT, STILL_WIDTH
from offline.training import lens, looks, scenery
from offline.training.drives import WHEELBASE_M, Drive, Mounting, Movement, camera_axes
from offline.training.paths import Path as RoadPath
from offline.training.paths import beside
from offline.training.renderer import Renderer
from offline.training.roads import RoadNetwork, build_network

FRAMES_PER_S: Final = 10
MOUNTING: Final = Mounting(
    height_m=1.35,
    pitch_rad=math.radians(-1.5),
    yaw_rad=0.0,
    roll_rad=0.0,
    horizontal_fov_rad=math.radians(62),
)
REAR_AXLE_M: Final = 1.7
"""Behind the camera."""

Array = NDArray[np.float64]


def network_of(seed: int) -> RoadNetwork:
    """The road network of a seed."""
    return build_network(np.random.default_rng([seed, 0]))


def driven_path(network: RoadNetwork) -> RoadPath:
    """What the camera follows: the middle of the right-hand lane."""
    return _lane(network)[0]


def _lane(network: RoadNetwork) -> tuple[RoadPath, Array]:
    lane_m = np.full(network.line.x.size, -0.5 * network.half_width_m)
    return beside(network.line, lane_m)


def render_video(
    target: Path, network: RoadNetwork, seed: int, t_s: Array, s_m: Array, *, crf: int
) -> None:
    """Render a drive and write it as H.264, a keyframe every half second.

    Parameters
    ----------
    target : Path
        The .mp4 to write.
    network : RoadNetwork
    seed : int
        Draws the surroundings, the light and the camera's flaws.
    t_s, s_m : ndarray, shape (n,)
        Where the vehicle is on the driven path over time.
    crf : int
        x264's constant rate factor.
    """
    frame_t_s = np.arange(0.0, t_s[-1], 1.0 / FRAMES_PER_S)
    drive = _drive(network, frame_t_s, np.interp(frame_t_s, t_s, s_m), seed)
    rng = np.random.default_rng([seed, 1])
    look = looks.draw_look(rng, network)
    mesh, _ = scenery.build(rng, network, drive.path)
    camera = lens.draw_lens(rng, math.degrees(MOUNTING.horizontal_fov_rad))
    with Renderer() as renderer, av.open(str(target), "w", format="mp4") as sink:
        renderer.load(network, look, mesh, [])
        stream = sink.add_stream("libx264", rate=FRAMES_PER_S)
        stream.width, stream.height, stream.pix_fmt = STILL_WIDTH, STILL_HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, 90_000)
        stream.codec_context.time_base = Fraction(1, 90_000)
        # One thread: what x264 writes depends on their number.
        stream.codec_context.thread_count = 1
        stream.options = {
            "crf": str(crf),
            "preset": "medium",
            "x264-params": "keyint=5:min-keyint=5:scenecut=0",
        }
        gain = 0.0
        for index in range(frame_t_s.size):
            light = lens.bend(camera, renderer.draw(drive, index, []))
            grey, gain = lens.expose(camera, rng, light, gain, float(frame_t_s[index]))
            frame = av.VideoFrame.from_ndarray(_coloured(grey, light, camera.gamma), format="bgr24")
            frame.pts, frame.time_base = index * 90_000 // FRAMES_PER_S, Fraction(1, 90_000)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))


def _coloured(
    grey: NDArray[np.uint8], light: NDArray[np.float32], gamma: float
) -> NDArray[np.uint8]:
    """Give the grey picture of the camera the scene's colours back, for people to look at."""
    luma = light @ lens.LUMA
    tint = (light + 1e-3) / (luma + 1e-3)[..., None]
    colour = grey[..., None] * np.clip(tint, 0.3, 2.0) ** gamma
    return np.ascontiguousarray(np.clip(colour, 0, 255).astype(np.uint8)[..., ::-1])


def _drive(network: RoadNetwork, t_s: Array, s_m: Array, seed: int) -> Drive:
    """Where the camera is and looks, with a car's squat and roughness."""
    path, places_m = _lane(network)
    rng = np.random.default_rng([seed, 2])
    speed = np.gradient(s_m, t_s)
    rear_m = s_m - REAR_AXLE_M
    # The rear axle does not slide sideways, so the vehicle heads where the road led back there.
    heading = path.at(rear_m, path.heading)
    rise = path.at(rear_m + WHEELBASE_M, path.z) - path.at(rear_m, path.z)
    shake = gaussian_filter1d(rng.normal(0, 1, t_s.size), 1.0) * math.radians(0.15)
    # A car squats and dives by roughly half a degree per m/s².
    squat = math.radians(0.4) * np.gradient(speed, t_s)
    pitch = np.arctan(rise / WHEELBASE_M) + MOUNTING.pitch_rad + squat + shake
    roll = math.radians(0.5) * speed**2 * path.at(s_m, path.curvature)
    eye = np.column_stack(
        [
            path.at(s_m, path.x),
            path.at(s_m, path.y),
            path.at(s_m, path.z) + MOUNTING.height_m,
        ]
    )
    return Drive(
        path=path,
        t_s=t_s,
        s_m=s_m,
        speed_mps=speed,
        line_m=path.at(s_m, places_m),
        lane_m=-0.5 * network.half_width_m,
        eye=eye,
        rotation=camera_axes(heading, pitch, roll),
        mounting=MOUNTING,
        movement=Movement.none(t_s.size),
    )
