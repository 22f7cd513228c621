"""How logins end can be seen from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from gqlink.chat import ChatSettings, create_app
from gqlink.chat.login_limit import LOGIN_OUTCOMES
from serving import serving

if TYPE_CHECKING:
    from pathlib import Path


async def logins(http: httpx2.AsyncClient) -> dict[str, float]:
    """Read how many logins had each outcome."""
    text = (await http.get("/metrics")).text
    [family] = [each for each in text_string_to_metric_families(text) if each.name == "gqlink_chat_logins"]
    return {sample.labels["outcome"]: sample.value for sample in family.samples}


async def test_logins_are_told_apart_by_their_outcome(tmp_path: Path) -> None:
    """Right, wrong, and too often wrong; what is no attempt is none, and every outcome is there from the start."""
    app = create_app(ChatSettings(data_dir=tmp_path, demo=True))
    async with serving(app) as authority, httpx2.AsyncClient(base_url=f"http://{authority}") as http:
        assert await logins(http) == dict.fromkeys(LOGIN_OUTCOMES, 0)
        await http.post("/login", json={"name": "alice", "password": "alice123"})
        await http.post("/login", json={"name": "alice"})
        for _ in range(12):
            await http.post("/login", json={"name": "bob", "password": "wrong"})
        assert await logins(http) == {"accepted": 1, "refused": 10, "limited": 2}
