"""P3, your own data: each cell for a server finds the real one, and none of their passwords is in what is saved."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks.kernel import played, read
from tests.servers import mosquitto as mqtt
from tests.servers import nats
from tests.servers.mosquitto import Mosquitto

ORDER = b'{"item": "tea", "n": 2}'
SERVERS = ("kafka", "redis_server", "postgres_server", "nats_server", "mosquitto")
ASKED = ("kafka", "redis", "postgres", "nats", "mqtt")


async def _fill(url: str) -> None:
    import nats as client

    link = await client.connect(url)
    stream = link.jetstream()
    await stream.add_stream(name="orders", subjects=["orders.new"])
    for _ in range(2):
        await stream.publish("orders.new", ORDER)
    await link.close()


def _retain(broker: Mosquitto) -> None:
    """Leave an order that whoever subscribes later is told at once."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(mqtt.USER, mqtt.PASSWORD)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.publish("orders", ORDER, qos=1, retain=True).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def said(cell: Any) -> str:
    return "".join(out.get("text", "") + out.get("data", {}).get("text/plain", "") for out in cell.outputs)


@pytest.mark.notebook
def test_a_cell_for_a_server_shows_its_rows(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kafka, redis_server, postgres_server, nats_server, mosquitto = map(request.getfixturevalue, SERVERS)
    kafka.topic("orders")
    asyncio.run(_fill(nats_server.url))
    _retain(mosquitto)
    addresses = {
        "KAFKA": kafka.bootstrap,
        "REDIS": redis_server.url,
        "POSTGRES": postgres_server.place("p3"),
        "NATS": nats_server.url,
        "MQTT": f"{mqtt.USER}:{mqtt.PASSWORD}@127.0.0.1:{mosquitto.port}",
    }
    for name, address in addresses.items():
        monkeypatch.setenv(name, address)
    notebook = read("P3_your_own_data")
    needed = {f"P3-{name}" for name in ("setup", "tried", *ASKED)}
    notebook.cells = [cell for cell in notebook.cells if cell.id in needed]
    notebook = played(notebook, tmp_path)
    told = {cell.id.removeprefix("P3-"): said(cell) for cell in notebook.cells if cell.cell_type == "code"}
    assert {name: "tea" in told[name] and "rows seen" in told[name] for name in ASKED} == dict.fromkeys(ASKED, True)
    saved = nbformat.writes(notebook)
    for password in (redis_server.password, postgres_server.password, nats.PASSWORD, mqtt.PASSWORD):
        assert password not in saved
