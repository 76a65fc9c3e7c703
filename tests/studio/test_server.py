"""The studio's interface, over a real socket, with a real worker that dreams."""

import json
import random

import psutil
import pytest
from websockets.sync.client import connect

from studios import LONG, PHOTO, SMALL, Studio, ended, until


@pytest.fixture
def photo(visitor):
    return visitor.post("/api/uploads?name=cat.jpg", content=PHOTO.read_bytes()).json()["id"]


def asked(visitor, photo, settings=SMALL, **more):
    answer = visitor.post("/api/jobs", json={"photo": photo, "settings": settings, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_a_dream_from_upload_to_picture(visitor, photo, tmp_path):
    from phosphene.cli import main

    job = asked(visitor, photo)
    seen = ended(visitor, job)
    assert (seen["state"], seen["error"], seen["width"]) == ("done", None, 96)
    picture = visitor.get(f"/api/jobs/{job}/picture")
    assert picture.headers["content-type"] == "image/png"
    (tmp_path / "made.png").write_bytes(picture.content)
    again = str(tmp_path / "again.png")
    assert main(["replay", str(tmp_path / "made.png"), str(PHOTO), "-o", again, "--quiet"]) == 0
    from PIL import Image, ImageChops

    with Image.open(tmp_path / "made.png") as one, Image.open(again) as other:
        assert ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox() is None
    for kind in ("jpeg", "webp", "tiff"):
        assert visitor.get(f"/api/jobs/{job}/picture?format={kind}").headers["content-type"].endswith(kind)
    assert visitor.get(f"/api/jobs/{job}/recipe").json()["dream"]["seed"] == 1
    assert "--seed 1" in visitor.get(f"/api/jobs/{job}/command").json()["command"]
    assert [one["id"] for one in visitor.get("/api/jobs").json()] == [job]
    other = asked(visitor, photo, {**SMALL, "seed": 2})
    differs = visitor.get(f"/api/compare?a={job}&b={other}").json()["differs"]
    assert [one["name"] for one in differs] == ["seed"]


def test_a_unit_from_noise(visitor):
    answer = visitor.post(
        "/api/jobs", json={"kind": "visualize", "settings": SMALL | {"max_size": 0}, "size": 64}
    )
    seen = ended(visitor, answer.json()["id"])
    assert (seen["state"], seen["width"], seen["height"]) == ("done", 64, 64)


def test_a_zoom_is_paused_goes_on_and_is_dreamed_on(visitor, photo):
    settings = {**SMALL, "octaves": 1, "steps": 1}
    wanted = {"kind": "zoom", "frames": 40, "fps": 10, "motion": {"rotate": 2}}
    job = asked(visitor, photo, settings, **wanted)
    until(lambda: (visitor.get(f"/api/jobs/{job}").json()["frame"] or 0) > 3)
    visitor.post(f"/api/jobs/{job}/pause", json={})
    frame = ended(visitor, job, "paused")["frame"]
    visitor.post(f"/api/jobs/{job}/resume", json={})
    seen = ended(visitor, job)
    assert 3 <= frame < 40 and (seen["state"], seen["frame"], seen["frames"]) == ("done", 40, 40)
    film = visitor.get(f"/api/jobs/{job}/picture?format=mp4")
    assert film.headers["content-type"] == "video/mp4"
    assert visitor.get(f"/api/jobs/{job}/picture?size=64").headers["content-type"] == "image/png"
    assert visitor.get(f"/api/jobs/{job}/recipe").json()["command"] == "zoom"
    assert "zoom cat.jpg --frames 40 --fps 10 --rotate 2" in visitor.get(f"/api/jobs/{job}/command").text

    upload = visitor.post("/api/uploads?name=a.mp4", content=film.content).json()
    assert (upload["kind"], upload["frames"], upload["fps"]) == ("film", 40, 10.0)
    assert visitor.get(f"/api/uploads/{upload['id']}/picture").headers["content-type"] == "image/jpeg"
    body = {"kind": "video", "film": upload["id"], "settings": settings, "end": 0.5}
    again = ended(visitor, visitor.post("/api/jobs", json=body).json()["id"])
    assert (again["state"], again["frame"]) == ("done", 5), again
    for wrong in ({"start": 9}, {"film": photo}, {"film": None}):
        assert visitor.post("/api/jobs", json=body | wrong).status_code == 400
    assert visitor.post("/api/jobs", json={"photo": upload["id"], "settings": SMALL}).status_code == 400


def test_a_cancelled_zoom_is_a_film_as_far_as_it_came(visitor, photo):
    job = asked(visitor, photo, {**SMALL, "octaves": 1, "steps": 1}, kind="zoom", frames=2000)
    until(lambda: (visitor.get(f"/api/jobs/{job}").json()["frame"] or 0) > 2)
    visitor.post(f"/api/jobs/{job}/cancel", json={})
    seen = ended(visitor, job)
    assert seen["state"] == "cancelled" and seen["frame"] >= 2
    assert visitor.get(f"/api/jobs/{job}/picture?format=mp4").status_code == 200
    assert visitor.delete(f"/api/jobs/{job}").status_code == 204


def test_more_of_this(visitor):
    body = {"kind": "visualize", "settings": {**SMALL, "max_size": 0}, "size": 48}
    first = visitor.post("/api/jobs", json=body).json()["id"]
    ended(visitor, first)
    more = visitor.post("/api/jobs", json={**body, "size": 512, "from": first}).json()
    seen = ended(visitor, more["id"])
    assert (seen["state"], seen["width"], seen["name"]) == ("done", 48, "noise-dream.png")
    assert "--photo noise-dream.png" in visitor.get(f"/api/jobs/{more['id']}/command").text
    pictures = [visitor.get(f"/api/jobs/{job}/picture").content for job in (first, more["id"])]
    assert pictures[0] != pictures[1]


def test_the_map(studio, visitor, photo):
    place = "/api/models/efficientnet_lite0"
    seen = until(lambda: (now := visitor.get(f"{place}/layers").json())["complete"] and now)
    rows = {row["name"]: row for row in seen["layers"]}
    assert rows["blocks.2.1"]["channels"] == 40 and rows["blocks.2.1"]["card"] and len(rows) > 100
    found = visitor.get(f"{place}/layers/blocks.2.1/channels?from=36&count=9").json()
    assert (found["total"], [one["channel"] for one in found["channels"]]) == (40, [36, 37, 38, 39])

    def made(address):
        answer = until(lambda: (now := visitor.get(address)).status_code != 202 and now)
        assert answer.headers["content-type"] == "image/webp", answer.text
        return answer.content

    pictures = [made(one["picture"]) for one in found["channels"][:2]]
    assert pictures[0] != pictures[1]
    on_photo = f"{found['channels'][0]['picture']}?photo={photo}"
    assert made(on_photo) not in pictures
    assert made(rows["blocks.1.0"]["picture"])
    for wrong in ("blocks.9", "blocks.2.1/channels/40"):
        assert visitor.get(f"{place}/layers/{wrong}/picture").status_code == 404
    with studio.visitor() as other:
        assert other.get(on_photo).status_code == 404
    classes = visitor.get(f"{place}/classes?search=Tab").json()
    assert classes["total"] == 1000 and classes["classes"][0] == {"number": 281, "name": "tabby, tabby cat"}


def test_frames_arrive_live_and_one_at_a_time(studio, visitor, photo):
    job = asked(visitor, photo, LONG)
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    with connect(
        f"ws://127.0.0.1:{studio.port}/api/live", origin=studio.url, additional_headers={"Cookie": cookie}
    ) as live:
        live.send("no JSON")
        assert json.loads(live.recv(timeout=30))["type"] == "error"
        live.send(json.dumps({"type": "watch", "job": job}))
        numbers = []
        while len(numbers) < 3:
            message = live.recv(timeout=60)
            if isinstance(message, bytes):
                length = int.from_bytes(message[:4], "big")
                header = json.loads(message[4 : 4 + length])
                assert message[4 + length :].startswith(b"\xff\xd8") and header["job"] == job
                numbers.append(header["n"])
                live.send(json.dumps({"type": "ack", "n": header["n"]}))
        assert numbers == sorted(set(numbers))
    visitor.post(f"/api/jobs/{job}/cancel", json={})
    seen = ended(visitor, job)
    assert seen["state"] == "cancelled"
    assert visitor.get(f"/api/jobs/{job}/picture").status_code == 200


def test_a_pause_lets_others_in(visitor, photo):
    job = asked(visitor, photo, LONG)
    ended(visitor, job, "running")
    until(lambda: visitor.get(f"/api/jobs/{job}").json()["step"])
    visitor.post(f"/api/jobs/{job}/pause", json={})
    step = ended(visitor, job, "paused")["step"]
    assert ended(visitor, asked(visitor, photo))["state"] == "done"
    visitor.post(f"/api/jobs/{job}/resume", json={})
    assert until(lambda: (visitor.get(f"/api/jobs/{job}").json()["step"] or 0) > step)
    visitor.post(f"/api/jobs/{job}/cancel", json={})
    ended(visitor, job)


def test_others_see_nothing(studio, visitor, photo):
    job = asked(visitor, photo)
    with studio.visitor() as other:
        for path in (f"/api/jobs/{job}", f"/api/jobs/{job}/picture", f"/api/uploads/{photo}/picture"):
            assert other.get(path).status_code == 404
        assert other.get("/api/jobs").json() == []
        assert other.post("/api/jobs", json={"photo": photo, "settings": SMALL}).status_code == 404


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1@evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_other_pages_are_refused(visitor, headers, status):
    assert visitor.get("/api/about", headers=headers).status_code == status


@pytest.mark.parametrize(
    "body, code",
    [
        ({"settings": {"steps": 0}}, "E_PARAM"),
        ({"settings": {"guide": "/etc/passwd"}}, "E_PARAM"),
        ({"settings": {"weights": "/etc/passwd"}}, "E_PARAM"),
        ({"settings": {"model": "python:os:system"}}, "E_MODEL"),
        ({"settings": {"model": "nothing"}}, "E_MODEL"),
        ({"settings": {"model": "hf:/etc"}}, "E_MODEL"),
        ({"settings": {"model": "hf:../x"}}, "E_MODEL"),
        ({"settings": {"model": "hf:~/x"}}, "E_MODEL"),
        ({"settings": {"model": "open_clip:/etc"}}, "E_MODEL"),
        ({"settings": {"model": "hf:http://127.0.0.1/x"}}, "E_MODEL"),
        ({"photo": "http://127.0.0.1/x.png"}, "E_PARAM"),
        ({"photo": "../../etc/passwd"}, "E_PARAM"),
        ({"kind": "dream"}, "E_PARAM"),
    ],
)
def test_what_is_not_allowed_is_told(visitor, body, code):
    answer = visitor.post("/api/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_the_machine_is_not_for_visitors(visitor):
    settings = {**SMALL, "threads": 1000, "max_memory": "1TB", "device": "cuda:7", "compile": True}
    body = {"kind": "visualize", "size": 32, "settings": settings | {"max_size": 0}}
    job = visitor.post("/api/jobs", json=body).json()
    assert job["settings"] == SMALL | {"max_size": 0}
    assert ended(visitor, job["id"])["state"] == "done"


def test_an_objective_cannot_read_files(visitor, photo):
    job = asked(visitor, photo, {**SMALL, "objective": 'caricature("/etc/passwd", blocks.2.1)'})
    assert ended(visitor, job)["error"]["code"] == "E_PARAM"


@pytest.mark.parametrize("content", [b"", b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n" + b"x" * 40])
def test_no_picture_is_refused(visitor, content):
    assert visitor.post("/api/uploads", content=content).status_code == 400


def test_malformed_requests_are_answered(visitor):
    draw = random.Random(7)
    paths = (
        "/api/jobs",
        "/api/uploads",
        "/api/about",
        "/api/compare",
        "/api/models",
        "/static",
        "/api/jobs/x",
    )
    for _ in range(300):
        path = draw.choice(paths) + draw.choice(
            ["", "/..%2f..%2fetc", "/%00", "/" + "a" * 300, "?size=-1", "/\\"]
        )
        method = draw.choice(["GET", "POST", "DELETE", "PUT"])
        body = bytes(draw.randrange(256) for _ in range(draw.randrange(60))) if method != "GET" else None
        assert visitor.request(method, path, content=body).status_code < 500, (method, path)


def test_the_page_is_safe(visitor):
    answer = visitor.get("/")
    assert answer.status_code == 200 and "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert visitor.get("/static/..%2f..%2fserver.py").status_code == 404


def gone(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_everything_survives_a_kill(tmp_path):
    studio = Studio(tmp_path / "kept")
    with studio.visitor() as visitor:
        photo = visitor.post("/api/uploads", content=PHOTO.read_bytes()).json()["id"]
        done = asked(visitor, photo)
        ended(visitor, done)
        going = asked(visitor, photo, LONG)
        ended(visitor, going, "running")
        begun = psutil.Process(studio.process.pid).children(recursive=True)
        studio.kill()
        assert len(begun) > 1
        until(lambda: all(gone(one) for one in begun))
        studio.start()
        assert visitor.get(f"/api/jobs/{done}/picture").status_code == 200
        assert ended(visitor, going, "running")["state"] == "running"
        visitor.post(f"/api/jobs/{going}/cancel", json={})
        ended(visitor, going)
    studio.stop()


def test_a_damaged_base_costs_nobody_the_gallery(tmp_path):
    studio = Studio(tmp_path / "kept")
    with studio.visitor() as visitor:
        photo = visitor.post("/api/uploads", content=PHOTO.read_bytes()).json()["id"]
        done = asked(visitor, photo)
        ended(visitor, done)
        studio.kill()
        for path in (tmp_path / "kept").glob("studio.db-*"):
            path.unlink()
        (tmp_path / "kept" / "studio.db").write_bytes(b"no base at all" * 500)
        studio.start()
        assert visitor.get(f"/api/jobs/{done}/picture").status_code == 200
    studio.stop()
    assert (tmp_path / "kept" / "studio.db.damaged-1").exists()
