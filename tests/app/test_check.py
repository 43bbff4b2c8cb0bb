"""Everything wrong with a workflow is told in sentences, quickly, and ends with 2."""

import json
import subprocess
import sys

import pytest


def test_a_sound_workflow(cli, workflow):
    result = cli("check", workflow)
    assert result.exit_code == 0 and "3 nodes, nothing wrong" in result.stdout


def test_all_problems_are_told_at_once(cli, workflow, document):
    document["nodes"]["load"]["settings"] = {"path": "blue.png", "bacground": "red"}
    document["nodes"]["big"]["settings"]["width"] = -3
    document["nodes"]["save"] = {"type": "save_imge"}
    workflow.write_text(json.dumps(document))
    result = cli("check", workflow, "--set", "bg.width=3")
    assert result.exit_code == 2
    for part in ("blue.png", 'Did you mean "background"', "width = -3", 'Did you mean "save_image"', "bg.width=3"):
        assert part in result.stderr
    assert "5 problems" in result.stderr


def test_problems_for_programs(cli, workflow):
    sound = json.loads(cli("check", workflow, "--json").stdout)
    assert sound == {"file": str(workflow), "ok": True, "problems": [], "upgrades": []}
    result = cli("check", workflow, "--set", "big.width=-1", "--json")
    (problem,) = json.loads(result.stdout)["problems"]
    assert result.exit_code == 2
    assert problem["node"] == "big" and problem["setting"] == "width" and "-1" in problem["sentence"]


def test_what_no_result_needs_is_a_warning(cli, workflow, document):
    document["nodes"]["loose"] = {"type": "resize", "settings": {"width": -1}}
    workflow.write_text(json.dumps(document))
    result = cli("check", workflow)
    assert result.exit_code == 0 and "passed over" in result.stderr and "-1" in result.stderr


def test_an_old_file_is_told_to_be_upgraded(cli, workflow, document):
    document |= {"format": 0, "wires": [{"from": a, "to": b} for a, b in document["wires"]]}
    workflow.write_text(json.dumps(document))
    result = cli("check", workflow)
    assert result.exit_code == 0 and "Upgraded" in result.stdout


def changed(document, node, **settings):
    return {**document, "nodes": {**document["nodes"], node: {**document["nodes"][node], "settings": settings}}}


BAD = {
    "truncated": (lambda d: json.dumps(d)[:-30], "ends in the middle"),
    "empty": (lambda d: "", "is empty"),
    "no JSON": (lambda d: "hello", "not JSON"),
    "a list": (lambda d: [], "a list"),
    "no format": (lambda d: {"nodes": {}}, "no format number"),
    "from the future": (lambda d: {**d, "format": 99}, "Upgrade latentloom"),
    "wrong types": (lambda d: {**d, "nodes": [], "wires": {}}, "nodes is a list"),
    "a wire of numbers": (lambda d: {**d, "wires": [[1, 2]]}, "Wire 1"),
    "NaN": (lambda d: json.dumps(changed(d, "big", width=float("nan"))), "NaN"),
    "infinity": (lambda d: json.dumps(changed(d, "big", width=float("inf"))), "too large a number"),
    "text for a number": (lambda d: changed(d, "big", width="63"), 'width = "63"'),
    "half a pixel": (lambda d: changed(d, "big", width=6.5), "width = 6.5"),
    "negative": (lambda d: changed(d, "big", width=-1), "width = -1"),
    "no such choice": (lambda d: changed(d, "big", filter="sharp"), "filter"),
    "no such colour": (lambda d: changed(d, "big", background="rad"), "is not a colour"),
    "10 000 nodes": (lambda d: {**d, "nodes": {str(i): d["nodes"]["big"] for i in range(10_000)}}, "10000 nodes"),
    "a cycle": (lambda d: {**d, "wires": [["big.image", "big.image"], ["big.image", "save.image"]]}, "circle"),
    "two wires in one port": (lambda d: {**d, "wires": [*d["wires"], ["load.image", "save.image"]]}, "save"),
    "a long string": (lambda d: changed(d, "load", path="x" * 2_000_000), "2000000 characters"),
    "a parent folder": (lambda d: changed(d, "load", path="../../etc/passwd"), "without '..'"),
    "an absolute path": (lambda d: changed(d, "load", path="/etc/passwd"), "outside the folders"),
    "a missing picture": (lambda d: changed(d, "load", path="rad.png"), "There is no"),
    "a link": (lambda d: changed(d, "load", path="link.png"), "by a link"),
    "a name outside": (lambda d: changed(d, "save", name="../../{counter}"), "without '..'"),
    "an unknown placeholder": (lambda d: changed(d, "save", name="{conter}"), 'Did you mean "counter"'),
}


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_files_give_their_sentence(cli, workflow, document, kind, command):
    (workflow.parent / "input/link.png").symlink_to("/etc/passwd")
    spoil, sentence = BAD[kind]
    content = spoil(document)
    workflow.write_text(content if isinstance(content, str) else json.dumps(content))
    result = cli(command, workflow)
    assert result.exit_code == 2 and sentence in result.stderr
    assert not (workflow.parent / "out").exists()


def test_what_is_no_file(cli, workflow, tmp_path):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name, sentence in {
        "twic.json": 'Did you mean "twice.json"',
        str(tmp_path): "is a folder",
        "binary.json": "not UTF-8",
        "/dev/zero": "is not a file",
    }.items():
        result = cli("check", name)
        assert result.exit_code == 2 and sentence in result.stderr


def test_a_file_of_two_gigabytes_is_not_read(cli, tmp_path):
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(2 << 30)  # takes no room on the disk
    result = cli("check", "huge.json")
    assert result.exit_code == 2 and "16 MB" in result.stderr


@pytest.mark.parametrize("name", ["twice.json", "sampler_grid"])
def test_checking_loads_no_library_of_models(workflow, name):
    code = (
        "import sys; sys.argv = ['latentloom', 'check', sys.argv[1]]\n"
        "from latentloom.app.main import main\n"
        "try: main()\n"
        "finally: print({'torch', 'diffusers', 'transformers', 'accelerate'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, name], cwd=workflow.parent, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "set()\n"
