"""What the server tells of itself, and of workflows it is shown."""

import pytest
from serving import WORKFLOW, client_of

from latentloom.app.server.access import Access

TOKEN = {"authorization": "Bearer token"}


@pytest.fixture
def client(tmp_path):
    with client_of(tmp_path, Access(token="token"), headers=TOKEN) as client:
        yield client


def test_info(client, tmp_path):
    info = client.get("/api/info").json()
    assert info["devices"] == ["cpu"] and info["protected"] and info["workspace"] == str(tmp_path)
    assert info["limits"]["upload_bytes"] == 64 << 20 and info["version"].count(".") == 2


def test_the_catalog_describes_each_node_as_the_page_draws_it(client):
    catalog = client.get("/api/catalog").json()
    nodes = {node["name"]: node for node in catalog["nodes"]}
    assert catalog["types"]["Even"] == ["Even", "Number"] and catalog["problems"] == []
    assert nodes["add"]["inputs"] == [{"name": "numbers", "types": ["Number"], "optional": False, "many": True}]
    [value] = nodes["number"]["settings"]
    assert value["schema"]["maximum"] == 100 and value["default"] == 1 and value["reads"] is None
    assert nodes["read"]["settings"][0]["reads"] == "input" and nodes["write"]["settings"][0]["writes"] is True
    assert nodes["show"]["effect"] and nodes["show"]["inputs"][0]["types"] == ["Text", "Number"]


def test_a_workflow_is_checked_and_compared(client):
    assert client.post("/api/check", json={"workflow": WORKFLOW}).json() == {"problems": []}
    broken = {**WORKFLOW, "wires": []}
    [problem] = client.post("/api/check", json={"workflow": broken}).json()["problems"]
    assert (problem["node"], problem["port"], problem["needed"]) == ("shown", "text", True)
    [problem] = client.post("/api/check", json={"workflow": broken, "goals": ["one"]}).json()["problems"]
    assert problem["needed"] is False
    difference = client.post("/api/difference", json={"before": WORKFLOW, "after": broken}).json()
    assert difference["wires_removed"] == [["one.number", "shown.text"]] and difference["added"] == []


def test_the_description_of_the_api_is_complete(client):
    api = client.get("/api/openapi.json").json()
    operations = [(path, method, each) for path, of in api["paths"].items() for method, each in of.items()]
    assert len(operations) > 35 and all(path.startswith("/api/") for path, _, _ in operations)
    for path, method, each in operations:
        assert each["summary"] and "_" not in each["summary"], path
        assert {"401", "403", "422", "500"} <= set(each["responses"]), (method, path)
        good = next(answer for status, answer in each["responses"].items() if status.startswith("2"))
        schemas = [content.get("schema", {}) for content in good["content"].values()]
        assert all("$ref" in schema or schema.get("format") == "binary" for schema in schemas), (method, path)
        assert "{" not in path or {"404", "422"} & set(each["responses"])
    assert {"NodeState", "JobDetail", "Problems", "Difference", "NodeKind"} <= set(api["components"]["schemas"])


def test_the_pages_of_the_api_need_no_other_server(client):
    page = client.get("/api/docs")
    assert page.status_code == 200
    addresses = [part.split('"')[0] for part in page.text.split('="')[1:]]
    assert "/api/docs/assets/swagger-ui-bundle.js" in addresses and "://" not in page.text
    for address in addresses:
        if address.startswith("/api/docs/assets/"):
            assert client.get(address).status_code == 200
