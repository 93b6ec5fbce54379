import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import number_of, stamped, tones, write_film, write_sound

from loquent.errors import InputError, MediaError
from loquent.media.probe import probe
from loquent.media.timing import frame_timing
from loquent.media.video import read_frames

REAL = Path(__file__).parents[2].parent / "shared" / "data"


def numbers(path: Path, **options: float) -> list[int]:
    return [number_of(frame.image) for frame in read_frames(path, **options)]


@pytest.mark.parametrize("source_fps", [12.5, 24, 24000 / 1001, 25, 30, 30000 / 1001, 50, 60])
def test_every_common_rate_comes_out_at_25_with_the_nearest_frames(tmp_path: Path, source_fps: float) -> None:
    times = np.arange(round(3.1 * source_fps)) / source_fps
    film = write_film(tmp_path / "film.mp4", [stamped(i) for i in range(len(times))], times)
    frames = list(read_frames(film))
    assert len(frames) == round(len(times) / source_fps * 25)
    for k, frame in enumerate(frames):
        assert (frame.index, frame.time_s) == (k, k / 25)
        distance = np.abs(times - k / 25)
        nearest = 0.022 if source_fps < 25 else distance.min()  # slow films: a frame stands until the next is due
        assert distance[number_of(frame.image)] <= max(distance.min(), nearest) + 1e-3


def test_timeline_starts_at_the_first_frame_and_variable_intervals_are_kept(tmp_path: Path) -> None:
    intervals = np.random.default_rng(3).choice([1 / 60, 1 / 30, 0.05, 0.4], size=60, p=[0.4, 0.3, 0.25, 0.05])
    times = 0.7 + np.concatenate([[0], np.cumsum(intervals)])
    film = write_film(tmp_path / "film.mkv", [stamped(i) for i in range(len(times))], times)
    shown = numbers(film)
    assert shown[0] == 0
    assert abs(len(shown) / 25 - (times[-1] - times[0])) < 0.15
    shift = times - times[0]
    for k, number in enumerate(shown):
        due = [i for i, time_s in enumerate(shift) if time_s <= k / 25 + 0.021]
        distance = np.abs(shift - k / 25)
        assert shift[number] <= k / 25 + 0.0231
        assert distance[number] <= distance[due].min() + 1e-3
    assert frame_timing(film).longest_gap_s == pytest.approx(0.4, abs=0.01)


def test_each_repeated_frame_of_a_25_stored_as_30_is_left_out(tmp_path: Path) -> None:
    n_true = 150
    stored = [int(np.floor(j * 25 / 30 + 0.5)) for j in range(n_true * 30 // 25)]
    film = write_film(tmp_path / "film.mp4", [stamped(i) for i in stored], np.arange(len(stored)) / 30)
    assert numbers(film) == list(range(n_true))
    timing = frame_timing(film)
    assert (timing.true_fps, np.count_nonzero(timing.is_new)) == (25, n_true)
    assert timing.stored_fps == pytest.approx(30)
    np.testing.assert_allclose(np.diff(timing.filmed_s[timing.is_new]), 1 / 25, atol=1e-9)


TURNS = [
    (1, 0, 0, 1),
    (0, 1, -1, 0),
    (-1, 0, 0, -1),
    (0, -1, 1, 0),
    (-1, 0, 0, 1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, -1, -1, 0),
]


@pytest.mark.parametrize("matrix", TURNS)
def test_the_display_matrix_is_applied(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[:32, :48] = (220, 30, 30)  # red top left, green top right, blue bottom left
    stored[:32, 48:] = (30, 200, 30)
    stored[32:, :48] = (30, 30, 220)
    film = write_film(tmp_path / "film.mp4", [stored] * 3, [0, 0.04, 0.08], matrix=matrix)
    # Truth pixel by pixel, from the definition in ISO/IEC 14496-12: (x, y) is shown at (a x + c y, b x + d y).
    a, b, c, d = matrix
    places = {(a * x + c * y, b * x + d * y): stored[y, x] for y in range(64) for x in range(96)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    wanted = np.zeros((64, 96, 3) if a else (96, 64, 3), np.uint8)
    for (x, y), colour in places.items():
        wanted[y - top, x - left] = colour
    image = next(read_frames(film)).image
    assert image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted)[4:-4, 4:-4].mean() < 6
    info = probe(film)
    assert (info.height, info.width) == wanted.shape[:2]


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(2), (48, 192)), (Fraction(1, 2), (96, 96)), (None, (48, 96))])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction | None, size: tuple[int, int]) -> None:
    film = write_film(tmp_path / "film.mp4", [stamped(5)] * 3, [0, 0.04, 0.08], pixel_aspect=aspect)
    assert next(read_frames(film)).image.shape[:2] == size
    assert (probe(film).height, probe(film).width) == size


@pytest.mark.parametrize(
    "codec_options", [{"g": "50", "preset": "ultrafast"}, {"g": "25", "bf": "3", "preset": "medium"}]
)
def test_a_part_equals_that_part_of_the_whole(tmp_path: Path, codec_options: dict[str, str]) -> None:
    times = 0.3 + np.arange(300) / 25
    film = write_film(tmp_path / "film.mp4", [stamped(i) for i in range(300)], times, codec_options=codec_options)
    assert numbers(film) == list(range(300))
    for start_s, end_s, first, last in [
        (0.0, 0.2, 0, 5),
        (2.0, 2.4, 50, 60),
        (8.02, 8.5, 201, 213),
        (11.9, 99.0, 298, 300),
    ]:
        frames = list(read_frames(film, start_s=start_s, end_s=end_s))
        assert [frame.index for frame in frames] == list(range(first, last))
        assert [number_of(frame.image) for frame in frames] == list(range(first, last))
    assert list(read_frames(film, start_s=3.0, end_s=3.0)) == []


def test_high_dynamic_range_becomes_ordinary_colours(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    tags = "log-level=none:pools=none:frame-threads=1:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"
    signal = np.repeat(np.array([0.0, 0.25, 0.5, 0.75]), 64)  # four grey bars
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx265", rate=25, options={"x265-params": tags})
        video.width, video.height, video.pix_fmt = 256, 64, "yuv420p10le"
        video.codec_context.color_primaries, video.codec_context.color_trc, video.codec_context.colorspace = 9, 18, 9
        frame = av.VideoFrame(256, 64, "yuv420p10le")
        for plane, values in zip(frame.planes, (64 + 876 * signal, np.full(128, 512), np.full(128, 512)), strict=True):
            rows = np.zeros((plane.height, plane.line_size // 2), "<u2")
            rows[:, : len(values)] = np.round(values)
            plane.update(rows.tobytes())
        frame.color_trc, frame.color_primaries, frame.colorspace = 18, 9, 9
        for pts in range(3):
            frame.pts = pts
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    assert probe(path).is_high_dynamic_range
    dark, low, middle, white = next(read_frames(path)).image[32, 32::64].astype(int).mean(axis=1)
    # ITU-R BT.2408: 75 % of the HLG signal is diffuse white; half the signal is (0.5 ** 2 / 3) / 0.265 = 0.31 of its light,
    # a little less after the display's gamma of 1.2: about 0.53 of the ordinary signal.
    assert dark <= 2
    assert white >= 253
    assert 120 < middle < 160
    assert 50 < low < 90


def test_three_frames_are_enough(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [stamped(i) for i in range(3)], [0, 1 / 30, 2 / 30])
    assert numbers(film) == [0, 1]  # 0.1 s has room for two frames of 0.04 s
    one = write_film(tmp_path / "one.mp4", [stamped(9)], [0.0])
    assert numbers(one) == [9]


def test_edit_lists_are_obeyed(tmp_path: Path) -> None:
    # B frames make the mp4 muxer write an edit list, and a negative start makes it skip what comes before zero.
    times = np.arange(-20, 60) / 25
    film = write_film(
        tmp_path / "film.mp4", [stamped(i) for i in range(80)], times, codec_options={"bf": "2", "g": "10"}
    )
    shown = numbers(film)
    assert shown == list(range(shown[0], 80))
    assert probe(film).duration_s == pytest.approx(len(shown) / 25, abs=0.041)


def test_a_cut_off_file_gives_what_can_be_decoded(tmp_path: Path) -> None:
    images, times = [stamped(i) for i in range(200)], np.arange(200) / 25
    for name, options in [("film.mkv", {}), ("film.ts", {}), ("film.mp4", {"movflags": "faststart"})]:
        whole = write_film(tmp_path / name, images, times, container_options=options)
        cut = tmp_path / f"cut_{name}"
        cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
        shown = numbers(cut)
        assert 60 < len(shown) < 180
        assert shown[:50] == list(range(50))
    assert frame_timing(tmp_path / "cut_film.mp4").missing_s > 1


def test_damage_in_the_middle_is_survived_and_counted(tmp_path: Path) -> None:
    whole = write_film(
        tmp_path / "film.mkv", [stamped(i) for i in range(200)], np.arange(200) / 25, codec_options={"g": "20"}
    )
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    whole.write_bytes(bytes(content))
    shown = numbers(whole)
    assert len(shown) > 150
    assert shown[-1] == 199


def test_what_is_no_video_is_refused_in_one_paragraph(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [stamped(i) for i in range(50)], np.arange(50) / 25)
    bad = {
        "missing.mp4": None,
        "empty.mp4": b"",
        "text.mp4": b"This is not a video, whatever its name says.\n" * 50,
        "text.txt": b"Neither is this one.\n" * 50,
        "noise.mp4": np.random.default_rng(1).bytes(5000),
        "cut.mp4": film.read_bytes()[: film.stat().st_size // 2],  # its index stands at the end
    }
    for name, content in bad.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        for read in (probe, read_frames, frame_timing):
            with pytest.raises(MediaError) as caught:
                read(path)
            assert name in str(caught.value)
            assert "\n" not in str(caught.value)
    with pytest.raises(MediaError, match="is a folder"):
        probe(tmp_path)


def test_a_sound_file_has_no_frames(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "sound.wav", tones(16000, 1)[None], 16000, "pcm_s16le")
    with pytest.raises(MediaError, match="only sound"):
        read_frames(sound)


def test_a_picture_is_no_video(tmp_path: Path) -> None:
    from loquent.media.images import write_image

    for name in ("one.png", "one.jpg"):
        write_image(tmp_path / name, stamped(1))
        with pytest.raises(MediaError, match="single picture"):
            read_frames(tmp_path / name)


def test_senseless_requests_are_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [stamped(i) for i in range(3)], [0, 0.04, 0.08])
    for options in ({"fps": 0.0}, {"start_s": -1.0}, {"start_s": 2.0, "end_s": 1.0}):
        with pytest.raises(InputError):
            read_frames(film, **options)


def test_a_replaced_file_is_measured_again(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", [stamped(i) for i in range(30)], np.arange(30) / 30)
    assert frame_timing(film).stored_fps == pytest.approx(30)
    longer = write_film(tmp_path / "longer.mp4", [stamped(i) for i in range(60)], np.arange(60) / 60)
    shutil.copy(longer, film)
    assert frame_timing(film).stored_fps == pytest.approx(60)


@pytest.mark.parametrize(("name", "n_frames"), [("french_50s", 1258), ("obama_20s", 500), ("menendez_8s", 200)])
def test_real_clips_have_their_true_number_of_frames(name: str, n_frames: int) -> None:
    path = REAL / f"{name}.mp4"
    if not path.is_file():
        pytest.skip("needs ../shared/data, which is not beside this checkout")
    assert sum(1 for _ in read_frames(path)) == n_frames
    timing = frame_timing(path)
    assert timing.true_fps == pytest.approx(25)
    assert np.count_nonzero(~timing.is_new) == (252 if name == "french_50s" else 0)
