"""Every measurement at tiny sizes: it runs, and its competitors compute the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from loquent import cli
from loquent.bench import speech
from loquent.bench.clock import Competitor, measure
from loquent.bench.person import Person
from loquent.bench.run import MEASUREMENTS, OF_PERSON, OF_SOUND, run
from loquent.errors import InputError
from loquent.ops.dispatch import ENVIRONMENT_VARIABLE, named_tensors
from loquent.testing import assert_values_match
from loquent.training.presets import QUICK

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    assert QUICK.torso is not None
    head = (replace(QUICK.head[0], rays=128, samples=1024), *QUICK.head[1:])
    few = replace(QUICK, head=head, torso=replace(QUICK.torso, pixels=256))
    return Person(tmp_path_factory.mktemp("person"), 48, CPU, steps=4, preset=few)


@pytest.fixture(autouse=True)
def no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


@pytest.mark.parametrize("name", OF_PERSON)
def test_competitors_compute_the_same_and_are_measured(person: Person, name: str) -> None:
    case = OF_PERSON[name](person)
    assert list(case.competitors) == (["unfolded", "folded"] if name == "folded_head" else ["reference", "cpu"])
    results = {}

    def noted(competitor: Competitor, called: str) -> Competitor:
        def run_and_note() -> object:
            results[called] = competitor.run()
            return results[called]

        return replace(competitor, run=run_and_note)

    case = replace(case, competitors={called: noted(body, called) for called, body in case.competitors.items()})
    figures = measure(case, 1, CPU)
    for truth, value in zip(*(dict(named_tensors(result, "")).values() for result in results.values()), strict=True):
        assert_values_match(value, truth, rtol=1e-2, atol=1e-2 * float(truth.detach().abs().max()))
    for found in figures.values():
        assert 0 < found.seconds < float("inf")
        assert found.per_second == pytest.approx(case.work / found.seconds)
        assert found.difference < 1e-2


def test_steps_begin_at_the_same_state_each_time(person: Person) -> None:
    for name in ("head_step", "torso_step"):
        body = OF_PERSON[name](person).competitors["cpu"]
        losses = []
        for _ in range(3):
            assert body.before is not None
            body.before()
            losses.append(body.run())
        assert torch.equal(losses[0], losses[1])
        assert torch.equal(losses[0], losses[2])  # the moments too are those of the state, not of the first run
        further = body.run()
        assert not torch.equal(losses[0], further)


@pytest.mark.parametrize("kind", OF_SOUND)
def test_speech_is_measured_in_seconds_of_sound_on_one_thread(kind: str) -> None:
    case = speech.features(kind, seconds=0.5)
    features = case.competitors[kind].run()
    assert isinstance(features, torch.Tensor)
    assert len(features) == 25
    assert (case.work, case.threads) == (0.5, 1)
    assert measure(case, 1, CPU)[kind].ratio == 1


def test_rows_are_added_measurement_by_measurement(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    names = ("composite_render", "log_mel")
    found = run(names, repeats=1, size=32, results=path, warm_up_steps=1)
    run(names[1:], repeats=2, size=32, results=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["measurement"] for line in lines] == [*names, "log_mel"]
    assert [line["repeats"] for line in lines] == [1, 1, 2]
    assert lines[0] == json.loads(found[0].line())
    assert set(lines[0]["competitors"]) == {"reference", "cpu"}
    assert lines[1]["threads"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "frame", "fraem"), f"There is no measurement fraem. There is: {', '.join(MEASUREMENTS)}."),
        (
            ("--repeats", "0"),
            "Wanted are at least 1 repeat and pictures of 32 to 2048 pixels; got --repeats 0 and --size 450.",
        ),
        (
            ("--size", "8"),
            "Wanted are at least 1 repeat and pictures of 32 to 2048 pixels; got --repeats 5 and --size 8.",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_paragraph(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert cli.main(["bench", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"loquent bench: {said}\n")


def test_a_bad_results_file_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr("loquent.bench.run.measure", nothing)
    (tmp_path / "notes.txt").write_text("not a row\n")
    assert cli.main(["bench", "--only", "log_mel", "--json", str(tmp_path / "notes.txt")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("loquent bench: Line 1 of ")
    assert err.count("\n") == 1
    with pytest.raises(AssertionError, match="measured"):
        run(("log_mel",), results=tmp_path / "rows.jsonl")


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert cli.main(["bench", "--only", "log_mel", "--repeats", "1", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "log_mel: 20 s of sound, one thread; seconds of sound a second." in out
    assert json.loads(path.read_text())["device"] in out
    with pytest.raises(InputError, match="no measurement named"):
        run(())
