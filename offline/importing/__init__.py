"""Makes trips from what people have: a dashcam's video, a phone app's log."""
