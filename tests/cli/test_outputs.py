"""Where dreams go, and everything that is refused before anything has happened."""

import pytest

from phosphene.cli import outputs
from phosphene.config import Dream
from phosphene.errors import PhospheneError

DREAM = Dream(seed=7, objective="inception_4c/output", model="bvlc_googlenet")


def size(_photo):
    return 96, 64


def planned(photos, out="", dream=DREAM, **more):
    jobs, skipped = outputs.jobs(photos, out, dream, size, **more)
    assert [job.photo for job in jobs] == photos or skipped
    return [job.output for job in jobs]


def refused(*arguments, **more):
    with pytest.raises(PhospheneError) as error:
        planned(*arguments, **more)
    return error.value.code, str(error.value)


@pytest.mark.parametrize(
    ("photo", "out", "expected"),
    [
        ("a.jpg", "", "a-dream.jpg"),
        ("a.JPG", "", "a-dream.JPG"),
        ("far/a.webp", "", "a-dream.webp"),
        ("a.heic", "", "a-dream.png"),
        ("a.gif", "", "a-dream.png"),
        ("a", "", "a-dream.png"),
        ("-", "", "stdin-dream.png"),
        ("-a.png", "", "-a-dream.png"),
        ("a{b}.png", "", "a{b}-dream.png"),
        ("ü 🙂\n.png", "", "ü 🙂\n-dream.png"),
        ("\udcff.png", "", "\udcff-dream.png"),
        ("a.jpg", "b.png", "b.png"),
        ("a.jpg", "-", "-"),
        ("a.jpg", "folder", "folder/a-dream.jpg"),
        ("a.jpg", "new/", "new/a-dream.jpg"),
        ("a.jpg", "new/deep/", "new/deep/a-dream.jpg"),
        ("a.jpg", "{br}ace/", "{br}ace/a-dream.jpg"),
        ("a.jpg", "{stem}-{layer}-{seed}.{ext}", "a-inception_4c-output-7.jpg"),
        ("a.jpg", "folder/{name}.png", "folder/a.jpg.png"),
        ("a.jpg", "{model}_{preset}_{index}_{index:03}_{width}x{height}.png", None),
        ("a.jpg", "{{{stem}}}.png", "{a}.png"),
    ],
)
def test_names(tmp_path, photo, out, expected):
    (tmp_path / "folder").mkdir()
    expected = expected or "bvlc_googlenet_classic_1_001_96x64.png"
    assert planned([photo], out, preset="classic") == [expected]


def test_many_photos():
    assert planned(["a.jpg", "b.jpg"], "{index}-{stem}.png") == ["1-a.png", "2-b.png"]
    assert planned(["a.jpg", "x/a.jpg"], "{index}.png") == ["1.png", "2.png"]


def test_a_size_that_can_not_be_known_yet():
    def unknown(_photo):
        return 0, 0

    assert outputs.jobs(["a.jpg"], "{width}.png", DREAM, unknown)[0][0].output == "0.png"


@pytest.mark.parametrize(
    ("photos", "out", "code"),
    [
        (["a.jpg", "x/a.jpg"], "", "E_OUTPUT"),
        (["a.jpg", "b.jpg"], "c.png", "E_OUTPUT"),
        (["a.jpg", "a.jpg"], "{stem}.png", "E_OUTPUT"),
        (["a.jpg", "b.jpg"], "./{seed}.png", "E_OUTPUT"),
        (["a.jpg", "b.jpg"], "-", "E_PARAM"),
        (["a.jpg"], "{step}.png", "E_PARAM"),
        (["a.jpg"], "{}.png", "E_PARAM"),
        (["a.jpg"], "{0}.png", "E_PARAM"),
        (["a.jpg"], "{stem.__class__}.png", "E_PARAM"),
        (["a.jpg"], "{stem[0]}.png", "E_PARAM"),
        (["a.jpg"], "{seed!r}.png", "E_PARAM"),
        (["a.jpg"], "{stem:03}.png", "E_PARAM"),
        (["a.jpg"], "{seed:999999999}.png", "E_PARAM"),
        (["a.jpg"], "{stem.png", "E_PARAM"),
        (["a.jpg"], "stem}.png", "E_PARAM"),
        (["a.jpg"], "../{stem}.png", "E_OUTPUT"),
        (["a.jpg"], "{stem}/../../x.png", "E_OUTPUT"),
        (["a.jpg"], "--json", "E_PARAM"),
        (["a.jpg"], "a\0.png", "E_OUTPUT"),
        (["a.jpg"], "absent/b.png", "E_OUTPUT"),
        (["a.jpg"], "a.jpg/b.png", "E_OUTPUT"),
        (["a.jpg"], "b.gif", "E_FORMAT"),
        (["a.jpg"], "b", "E_FORMAT"),
        (["a.jpg"], "x" * 300 + ".png", "E_OUTPUT"),
        (["a.jpg"], "/dev/null", "E_FORMAT"),
        (["a.jpg"], "device.png", "E_OUTPUT"),
        (["a.jpg"], "there.png", "E_EXISTS"),
        (["b.jpg", "a.jpg"], "{stem}.jpg", "E_OUTPUT"),
    ],
)
def test_refused_before_starting(tmp_path, photos, out, code):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "there.png").touch()
    (tmp_path / "device.png").symlink_to("/dev/null")
    found, message = refused(photos, out)
    assert found == code
    assert "\n" not in message


@pytest.mark.parametrize("objective", ["../../etc/passwd", "..", "a/..", "..\\x"])
def test_a_setting_can_not_lead_out_of_the_folder(objective):
    assert refused(["a.jpg"], "{layer}.png", DREAM.but(objective=objective))[0] == "E_OUTPUT"
    assert planned(["a.jpg"], "{stem}.png", DREAM.but(objective=objective)) == ["a.png"]


def test_an_objective_becomes_a_short_plain_word():
    dream = DREAM.but(objective='2*a/b:3@1,2 + 0.5*guide("x y.jpg", l)' + "z" * 500)
    (name,) = planned(["a.jpg"], "{layer}.png", dream)
    assert name.startswith("2-a-b-3@1,2-+-0.5-guide-x-y.jpg-")
    assert len(name) <= outputs.LONGEST + 4


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_is_never_replaced(tmp_path, overwrite):
    (tmp_path / "a.png").touch()
    (tmp_path / "link.png").symlink_to("a.png")
    (tmp_path / "hard.png").hardlink_to(tmp_path / "a.png")
    for out in ("a.png", "./a.png", str(tmp_path / "a.png"), "link.png", "hard.png"):
        code, message = refused(["a.png"], out, overwrite=overwrite)
        assert code == "E_OUTPUT"
        assert "never replaced" in message


@pytest.mark.parametrize("name", ["guide", "mask", "weights"])
def test_nor_is_any_other_file_that_is_read(tmp_path, name):
    (tmp_path / "g.png").touch()
    assert refused(["a.png"], "g.png", DREAM.but(**{name: "g.png"}), overwrite=True)[0] == "E_OUTPUT"
    assert refused(["a.png"], "g.png", also=["g.png"], overwrite=True)[0] == "E_OUTPUT"


def test_existing_files_are_replaced_or_skipped_on_request(tmp_path):
    (tmp_path / "a-dream.png").touch()
    assert planned(["a.png", "b.png"], overwrite=True) == ["a-dream.png", "b-dream.png"]
    jobs, skipped = outputs.jobs(["a.png", "b.png"], "", DREAM, size, skip_existing=True)
    assert [job.output for job in jobs] == ["b-dream.png"]
    assert skipped == ["a-dream.png"]


def test_planning_makes_no_folder(tmp_path):
    planned(["a.jpg"], "new/")
    assert not (tmp_path / "new").exists()
    outputs.make_folder("new/deep/")
    assert (tmp_path / "new" / "deep").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(PhospheneError, match="another folder"):
        outputs.make_folder("file/")
