"""What was found in the token libraries of others, asked of ours over every road; each test is named for its report.

The tokens are signed with the very key of the server, wherever that is what makes the attack.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from auth.forge import CLAIMS, HEADER, KEY, PEM, encode, forge
from gqlink.auth import ANONYMOUS, Token, TokenSigner
from security.served import ROADS, road_to
from serving import serving

if TYPE_CHECKING:
    from gqlink.auth import Credentials, Identity
    from server.world import World

SIGNER = TokenSigner([KEY], issuer="chat", audience="chat-api")
NOW = int(time.time())
VALID = {**CLAIMS, "iat": NOW, "exp": NOW + 900}


async def authenticate(credentials: Credentials) -> Identity:
    """Verify as the chat does."""
    return SIGNER.verify(credentials.token, now=NOW) if credentials.token else ANONYMOUS


def signed(secret: bytes = KEY.secret, claims: dict[str, object] | bytes = VALID, **header: object) -> str:
    """Sign a token with whatever in its header."""
    return forge(header={**HEADER, **header}, claims=claims, secret=secret).reveal()


async def require_refused(world: World, road: str, *tokens: str) -> None:
    """None gets in, nor passes for nobody: 401, or 4403, and no resolver has run; the genuine one does."""
    async with serving(world.app(authenticate=authenticate)) as authority:
        for token in tokens:
            answer = await road_to(authority, road, token=token).ask({"query": "{ whoami }"})
            assert (answer.status or answer.closed) in {401, (4403, "Token invalid")}, token[:200]
            assert world.resolved == 0
        genuine = await road_to(authority, road, token=signed()).ask({"query": "{ whoami }"})
    assert genuine.data == {"whoami": "alice"}


pytestmark = pytest.mark.parametrize("road", ROADS)


async def test_cve_2026_32597_and_cve_2025_59420_an_extension_that_nobody_knows_is_not_ignored(
    world: World, road: str
) -> None:
    """RFC 7515, section 4.1.11: what `crit` names must be understood; we understand none."""
    await require_refused(
        world, road, *(signed(crit=crit) for crit in (["b64"], ["exp"], ["x-policy"], [], None, "exp", [["exp"]]))
    )


async def test_cve_2026_48523_the_header_chooses_no_algorithm(world: World, road: str) -> None:
    """The key has one; another name in the header is refused, whatever was signed with."""
    others = ("HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA", "hs256", " HS256", ["HS256"], {"name": "HS256"})
    await require_refused(world, road, *(signed(alg=algorithm) for algorithm in others))


async def test_cve_2026_27962_a_token_brings_no_key_of_its_own(world: World, road: str) -> None:
    """Neither a key nor an address of one: with any of them a token is refused, even one that is genuine otherwise."""
    own = b"a" * 32
    jwk = {"kty": "oct", "k": encode(own)}
    await require_refused(
        world,
        road,
        signed(own, jwk=jwk),
        signed(own, jwk=jwk, kid="mine"),
        signed(jwk={"kty": "oct", "k": encode(KEY.secret)}),
        signed(jku="https://elsewhere.example/jwks.json"),
        signed(x5u="https://elsewhere.example/chain.pem"),
        signed(x5c=["MIIB"]),
    )


async def test_cve_2022_29217_and_cve_2024_33663_a_public_key_is_no_secret(world: World, road: str) -> None:
    """A key that everybody may read signs nothing, by the name of whatever algorithm."""
    await require_refused(
        world, road, *(signed(secret, alg=name) for name in ("HS256", "RS256") for secret in (PEM, PEM.strip(), b""))
    )


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None])
async def test_a_token_without_a_signature_is_none(world: World, road: str, name: object) -> None:
    """By any spelling, with an empty signature and with any other."""
    start = f"{encode(json.dumps({**HEADER, 'alg': name}).encode())}.{encode(json.dumps(VALID).encode())}"
    await require_refused(world, road, f"{start}.", f"{start}.x", f"{start}.{encode(bytes(32))}")


async def test_cve_2024_33664_a_token_is_short_or_not_read(world: World, road: str) -> None:
    """Over 8192 bytes nothing is decoded; there is no compression that could make it longer, nor five parts."""
    long = {**VALID, "pad": "x" * 8_000}
    await require_refused(world, road, signed(claims=long), "a" * 20_000, "a.b.c.d.e", signed(zip="DEF") + ".a.b")


@pytest.mark.parametrize(
    "kid", ["", "../../dev/null", "/dev/null", "' OR 1=1 --", "https://elsewhere.example/jwks", "2027-01\x00", None, 1]
)
async def test_a_kid_leads_nowhere(world: World, road: str, kid: object) -> None:
    """It is looked up among our keys: no file, no query, no address, and the empty file is no key."""
    await require_refused(world, road, signed(b"", kid=kid), signed(kid=kid))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
async def test_a_moment_is_a_number_that_a_clock_can_show(world: World, road: str, claim: str) -> None:
    """No text, no truth value, nothing that is no number, nothing beyond any calendar; without an end no token is."""
    odd = [f'"{NOW + 900}"', "true", "NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "[]", "{}", "-1"]
    if claim == "exp":
        odd.append("null")
    text = json.dumps({**VALID, claim: "?"})
    tokens = [signed(claims=text.replace('"?"', value).encode()) for value in odd]
    if claim != "nbf":
        tokens.append(signed(claims={name: value for name, value in VALID.items() if name != claim}))
    await require_refused(world, road, *tokens)


async def test_every_token_of_this_page_is_refused_in_the_same_words(world: World, road: str) -> None:
    """What was wrong with it is for the log: nobody learns from the answer how close they came."""
    async with serving(world.app(authenticate=authenticate)) as authority:
        answers = [
            await road_to(authority, road, token=token).ask({"query": "{ whoami }"})
            for token in (
                signed(b"x" * 32),
                signed(kid="unknown"),
                signed(crit=["exp"]),
                "garbage",
                Token("a.b.c").reveal(),
            )
        ]
    assert len({(answer.status, answer.closed, answer.text) for answer in answers}) == 1
