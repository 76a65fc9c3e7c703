"""Sizes in words, and the limits of control groups read from made-up files."""

import subprocess
import sys

import pytest
import torch

from phosphene import budget
from phosphene.config import Dream
from phosphene.errors import PhospheneError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2_000_000_000),
        ("500MB", 500_000_000),
        ("1.5g", 1_500_000_000),
        ("2 GiB", 2**31),
        ("64kib", 65_536),
        ("1T", 10**12),
        ("123", 123),
        ("7b", 7),
    ],
)
def test_sizes(text, size):
    assert budget.parsed(text) == budget.limit(text, CPU) == size
    assert Dream.read({"max_memory": text}).max_memory == text


@pytest.mark.parametrize("text", ["much", "-1GB", "1e9", "GB", "2 G B", "1.GB", "٣GB", "9" * 40])
def test_what_is_no_size_is_refused(text):
    for read in (budget.parsed, lambda text: Dream.read({"max_memory": text})):
        with pytest.raises(PhospheneError, match=r"max_memory is .*2GB or 500MB") as caught:
            read(text)
        assert caught.value.code == "E_PARAM"


def test_nothing_is_no_budget():
    with pytest.raises(PhospheneError, match="max_memory is '0GB'"):
        budget.parsed("0GB")


def test_without_a_limit_most_of_what_is_free(monkeypatch):
    monkeypatch.setattr(budget, "held", lambda device: 1000)
    monkeypatch.setattr(budget, "free", lambda device: 5000)
    assert budget.limit("", CPU) == 1000 + 0.8 * 5000


def test_this_machine():
    assert 10**7 < budget.held(CPU) < 10**12
    assert 0 < budget.free(CPU) < 10**15


def files(root, contents):
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_version_2_with_every_group_above(tmp_path):
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user/job\n",
            "sys/fs/cgroup/user/job/memory.max": "max\n",
            "sys/fs/cgroup/user/job/memory.current": "10\n",
            "sys/fs/cgroup/user/memory.max": "3000\n",
            "sys/fs/cgroup/user/memory.current": "1200\n",
            "sys/fs/cgroup/user/memory.stat": "anon 900\ninactive_file 200\n",
        },
    )
    assert list(budget.group_room(root)) == [2000]


def test_version_1_in_a_container_that_sees_only_its_own_group(tmp_path):
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "5000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "4000\n",
            "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 500\n",
        },
    )
    assert list(budget.group_room(root)) == [1500]


def test_version_1_without_a_limit(tmp_path):
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert list(budget.group_room(root)) == []


@pytest.mark.parametrize("contents", [{}, {"proc/self/cgroup": "0::/\n"}])
def test_no_groups(tmp_path, contents):
    assert list(budget.group_room(files(tmp_path, contents))) == []


def test_a_group_that_is_over_its_limit_has_no_room(tmp_path):
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "100",
            "sys/fs/cgroup/memory.current": "150",
        },
    )
    assert list(budget.group_room(root)) == [0]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_peak_is_not_the_parents():
    """rusage of a program that a large one starts begins with the large one's memory."""
    script = (
        "import subprocess, sys; block = bytearray(10**9); subprocess.run([sys.executable, '-c', "
        "'import torch; from phosphene import budget; print(budget.highest(torch.device(\"cpu\")))'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10**9
