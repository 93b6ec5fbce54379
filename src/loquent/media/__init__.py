"""Video, sound and picture files in and out, through PyAV and OpenCV; nothing else in Loquent opens a media file."""
