"""From a video to a clip folder: one file per step, the pipeline that runs and resumes them, and the doctor."""
