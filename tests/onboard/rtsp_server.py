"""An RTSP camera from GStreamer's own server; run by Debian's Python, which has its bindings.

    /usr/bin/python3 rtsp_server.py VIDEO.mp4

Prints the stream's address.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
video = sys.argv[1]
server = GstRtspServer.RTSPServer()
server.set_service("0")
server.set_address("127.0.0.1")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={video} ! qtdemux ! h264parse config-interval=1 "
    "! rtph264pay name=pay0 pt=96 )"
)
factory.set_shared(True)
server.get_mount_points().add_factory("/front", factory)
server.attach(None)
print(f"rtsp://127.0.0.1:{server.get_bound_port()}/front", flush=True)
GLib.MainLoop().run()
