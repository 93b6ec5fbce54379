"""The page of a user study: every video is there, nobody's name is, and each participant gets an order of their own."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from loquent.errors import InputError, MediaError
from loquent.media.audio import write_wav
from loquent.media.writer import VideoWriter
from loquent.storage import file_digest
from loquent.study.exhibits import Exhibit, find_exhibits
from loquent.study.study import QUESTIONS, make_study, page

SYSTEMS = ("nerfonia", 'wav<2>"lip"', "truth&co")
ITEMS = ("greeting", "</script><b>")
NASTY = '</script><script>alert("1")</script> & friends'


class Reader(HTMLParser):
    """Elements, the text of each kind of element, and every address of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self._open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "poster")]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag = self._open[-1] if self._open else ""
        self.text[tag] = self.text.get(tag, "") + data


def facts_in(text: str) -> dict:
    """What the page knows of its study."""
    return json.loads(re.findall(r'<script type="application/json" id="study">(.*?)</script>', text, re.DOTALL)[0])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fifth of a second of grey with sound."""
    path = tmp_path_factory.mktemp("video") / "grey.mp4"
    with VideoWriter(path, height=32, width=48, sound=np.zeros(3200, np.float32)) as writer:
        for _ in range(5):
            writer.write(np.full((32, 48, 3), 90, np.uint8))
    return path


@pytest.fixture(scope="module")
def exhibits(video: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Exhibit]:
    """Every item by every system, each file with a byte of its own."""
    folder = tmp_path_factory.mktemp("named")
    found = []
    for number, (system, item) in enumerate((system, item) for system in SYSTEMS for item in ITEMS):
        path = folder / f"nerfonia greeting {number}.mp4"
        path.write_bytes(video.read_bytes() + bytes([number]))
        found.append(Exhibit(path, system, item))
    return found


def test_the_page_shows_every_video_and_the_key_knows_whose_it_is(exhibits: list[Exhibit], tmp_path: Path) -> None:
    index = make_study(exhibits, tmp_path / "study", title="Heads")
    facts, key = facts_in(index.read_text()), json.loads((tmp_path / "study" / "key.json").read_text())
    shown = [name for trial in facts["trials"] for name in trial]
    assert sorted(shown) == sorted(path.name for path in (index.parent / "videos").iterdir())
    assert facts["id"] == key["id"]
    assert [question["name"] for question in facts["questions"]] == list(QUESTIONS)
    whose = {(video["system"], video["item"]): video for video in key["videos"]}
    for exhibit in exhibits:
        video = whose.pop((exhibit.system, exhibit.item))
        copy = index.parent / "videos" / video["file"]
        assert copy.read_bytes() == exhibit.video.read_bytes()
        assert video["sha256"] == file_digest(exhibit.video)
    assert not whose


@pytest.mark.parametrize("together", [False, True])
def test_nothing_that_is_handed_out_names_a_system_or_an_item(
    exhibits: list[Exhibit], tmp_path: Path, together: bool
) -> None:
    index = make_study(exhibits, tmp_path / "study", together=together)
    handed_out = [str(path.relative_to(index.parent)) for path in index.parent.rglob("*")] + [index.read_text()]
    secret = ["nerfonia", "wav", "truth", "greeting", exhibits[0].video.parent.name]
    assert [word for word in secret for text in handed_out if word in text.lower()] == []
    assert any("nerfonia" in text for text in [(tmp_path / "study" / "key.json").read_text()]), "the key does name them"


def test_numbers_say_nothing_about_the_order_of_systems(exhibits: list[Exhibit], tmp_path: Path) -> None:
    def systems(name: str, seed: int) -> list[str]:
        make_study(exhibits, tmp_path / name, seed=seed)
        return [video["system"] for video in json.loads((tmp_path / name / "key.json").read_text())["videos"]]

    assert systems("a", 1) == systems("b", 1)
    assert len({tuple(systems(f"seed{seed}", seed)) for seed in range(4)}) > 1


def test_together_shows_all_systems_of_an_item(exhibits: list[Exhibit], tmp_path: Path) -> None:
    index = make_study(exhibits, tmp_path / "study", together=True)
    videos = {video["file"]: video for video in json.loads((tmp_path / "study" / "key.json").read_text())["videos"]}
    trials = facts_in(index.read_text())["trials"]
    assert len(trials) == len(ITEMS)
    for trial in trials:
        assert {videos[name]["system"] for name in trial} == set(SYSTEMS)
        assert len({videos[name]["item"] for name in trial}) == 1
    with pytest.raises(InputError, match="only one system"):
        make_study(exhibits[:3], tmp_path / "other", together=True)


def test_titles_are_text_and_nothing_else(exhibits: list[Exhibit], tmp_path: Path) -> None:
    index = make_study(exhibits, tmp_path / "study", title=NASTY)
    nasty, plain = Reader(index.read_text()), Reader(page("abc", "plain", [["01.mp4"]]))
    assert nasty.elements == plain.elements
    assert nasty.text["title"] == NASTY
    assert nasty.text["h1"] == plain.text["h1"].replace("plain", NASTY)


def test_data_cannot_end_its_element() -> None:
    text = page("abc", "plain", [[NASTY + "<!--<script>"]])
    assert Reader(text).elements == Reader(page("abc", "plain", [["01.mp4"]])).elements
    assert facts_in(text)["trials"] == [[NASTY + "<!--<script>"]]


def test_the_page_asks_nobody_for_anything() -> None:
    text = page("abc", "plain", [["01.mp4"]])
    assert Reader(text).addresses == []
    for word in ("http:", "https:", "//cdn", "@import", "url(", "fetch(", "XMLHttpRequest", "sendBeacon", "innerHTML"):
        assert word not in text


def test_systems_are_folders_or_rows_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "sub" / "list.csv"
    table.parent.mkdir()
    table.write_text("\ufeffvideo,system,item\nx/1.mp4,ours, hello \n../2.mp4,theirs,hello\n")
    found = find_exhibits([tmp_path / "er_nerf" / "obama.mp4", table])
    assert found == [
        Exhibit(tmp_path / "er_nerf" / "obama.mp4", "er_nerf", "obama"),
        Exhibit(table.parent / "x" / "1.mp4", "ours", "hello"),
        Exhibit(table.parent / ".." / "2.mp4", "theirs", "hello"),
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("video,system\na.mp4,b\n", "no column item.*Wanted are the columns video, system, item"),
        ("video,system,item\na.mp4,b,\n", "line 2"),
        ("video,system,item\na.mp4,b,c\nx.mp4,b,c\n", "2 videos of 'c' by 'b'"),
        ('video,system,item\n"a.mp4,b,c\n', "is no table of videos"),
        ("", "no column video"),
        ("video,system,item\n", "needs videos"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "list.csv").write_text(table)
    with pytest.raises(InputError, match=words):
        find_exhibits([tmp_path / "list.csv"])


def test_videos_that_cannot_be_shown_are_refused(video: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    with VideoWriter(silent, height=32, width=32) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    write_wav(tmp_path / "sound.wav", np.zeros(1600, np.float32), 16_000)
    (tmp_path / "text.mp4").write_text("no video")
    shutil.copy(video, tmp_path / "film.mov")
    refused = {
        "silent.mp4": (InputError, "no sound"),
        "sound.wav": (InputError, "no moving pictures"),
        "film.mov": (InputError, "does not play in every browser"),
        "text.mp4": (MediaError, "text.mp4"),
        "missing.mp4": (MediaError, "does not exist"),
    }
    for name, (kind, words) in refused.items():
        with pytest.raises(kind, match=words):
            make_study([Exhibit(tmp_path / name, "a", "b")], tmp_path / "study")
        assert not (tmp_path / "study").exists()


def test_a_study_is_not_written_over(exhibits: list[Exhibit], tmp_path: Path) -> None:
    make_study(exhibits, tmp_path / "study")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match="there already"):
        make_study(exhibits[:1], tmp_path / "study")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


NODE = shutil.which("node")
needs_node = pytest.mark.skipif(
    NODE is None, reason="Node.js is not installed; the page's script runs in browsers only"
)


def run_script(text: str, program: str) -> str:
    """What `program` prints after the page's own script; there is no document, so the page itself does not start."""
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[0]
    assert NODE is not None
    return subprocess.run([NODE, "-e", script + program], capture_output=True, text=True, check=True, timeout=60).stdout


@needs_node
def test_every_participant_sees_every_trial_once_in_an_order_of_their_own() -> None:
    trials = [[f"{2 * i:02}.mp4", f"{2 * i + 1:02}.mp4"] for i in range(6)]
    program = (
        "const s = {id: 'abc', trials: " + json.dumps(trials) + "};"
        "const many = [...Array(600).keys()].map(i => orderFor(s, 'p' + i));"
        "console.log(JSON.stringify({many, again: orderFor(s, 'p7'), other: orderFor({...s, id: 'abd'}, 'p7')}));"
    )
    found = json.loads(run_script(page("abc", "plain", trials), program))
    for order in found["many"]:
        assert sorted(sorted(trial) for trial in order) == trials
    assert found["again"] == found["many"][7]
    assert found["other"] != found["many"][7]
    # Fair: each trial comes first, and each video of a trial is on the left, about as often as any other.
    first = np.array([trials.index(sorted(order[0])) for order in found["many"]])
    assert np.abs(np.bincount(first, minlength=6) / 600 - 1 / 6).max() < 0.06
    swapped = np.mean([trial != sorted(trial) for order in found["many"] for trial in order])
    assert abs(swapped - 0.5) < 0.05


@needs_node
def test_answers_are_written_as_pooling_reads_them() -> None:
    from loquent.study.study import ANSWER_COLUMNS

    text = page("abc", "plain", [["01.mp4"], ["02.mp4"], ["03.mp4"]])
    answers = {
        "02.mp4": {"lip_sync": 5, "image_quality": 4, "video_realness": 1},
        "03.mp4": {"lip_sync": 5, "image_quality": 4},
    }
    program = (
        "const s = " + json.dumps(facts_in(text)) + ";"
        f"process.stdout.write(csvOf(s, 'p1', [['01.mp4'], ['03.mp4'], ['02.mp4']], {json.dumps(answers)}));"
    )
    header = ",".join([*ANSWER_COLUMNS, *QUESTIONS])
    assert run_script(text, program) == f"{header}\nabc,p1,3,02.mp4,5,4,1\n", "what is not rated in full is left out"
