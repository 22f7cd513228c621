import asyncio

import pytest
from graphql import graphql

from gqlink.auth import ANONYMOUS, Credentials, Token
from gqlink.errors import InvalidToken, TokenExpired
from gqlink.pubsub import Position
from gqlink.testing.stage import authenticate, standard_schema


async def test_the_standard_queries_are_answered() -> None:
    """The transcripts' README says what comes."""
    result = await graphql(standard_schema(), "{ hello slow fail }")

    assert result.data == {"hello": "world", "slow": "at last", "fail": None}
    assert [error.path for error in result.errors or []] == [["fail"]]
    assert (await graphql(standard_schema(), "mutation { bump }")).data == {"bump": 1}


async def test_the_standard_subscriptions_count_or_are_silent() -> None:
    """One ends by itself, the other when it is ended."""
    subscription = standard_schema().subscription_type
    assert subscription is not None
    count, silence = (subscription.fields[name] for name in ("count", "silence"))
    assert count.subscribe is not None
    assert count.resolve is not None
    assert silence.subscribe is not None
    waiting = asyncio.ensure_future(anext(silence.subscribe(None, None)))
    await asyncio.sleep(0)

    assert [count.resolve(event, None, to=2) async for event in count.subscribe(None, None, to=2)] == [1, 2]
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_standard_topic_was_told_two_things() -> None:
    """Whoever opens the stream may start elsewhere."""
    subscription = standard_schema().subscription_type
    assert subscription is not None
    subscribe, resolve = subscription.fields["told"].subscribe, subscription.fields["told"].resolve
    assert subscribe is not None
    assert resolve is not None
    async with await subscribe(None, None) as stream:
        assert [resolve(await anext(stream), None) for _ in range(2)] == [1, 2]
    async with await subscribe(None, None) as stream:
        assert not (await stream.open(after=Position("elsewhere", 1))).recovered


async def test_the_standard_tokens_are_known() -> None:
    """None is anonymous, one is good, one so for a while, one is expired, and everything else is bad."""
    assert await authenticate(Credentials()) is ANONYMOUS
    assert (await authenticate(Credentials(token=Token("good"), source="init"))).subject == "good"
    brief = await authenticate(Credentials(token=Token("brief"), source="init"), wall=lambda: 100.0)
    assert (brief.subject, brief.expires_at) == ("good", 103.0)
    with pytest.raises(TokenExpired):
        await authenticate(Credentials(token=Token("expired"), source="init"))
    with pytest.raises(InvalidToken):
        await authenticate(Credentials(token=Token("bad"), source="init"))
