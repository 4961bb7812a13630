"""Words, countries, clients and codes that both classes of organizations draw from."""

from __future__ import annotations

from typing import Final, NamedTuple

EVENT_TYPES: Final = (
    "organization_created",
    "organization_restricted",
    "organization_restored",
    "user_added",
    "session_started",
    "email_verified",
    "phone_verified",
    "verification_requested",
    "api_key_created",
    "api_key_revoked",
    "payment_method_added",
    "payment_failed",
    "invoice_paid",
    "charge_disputed",
    "trial_started",
    "promo_redeemed",
    "subscription_cancelled",
    "referral_code_issued",
    "referral_redeemed",
    "reward_earned",
    "reward_paid",
    "inference",
    "client_telemetry",
)
EVENT: Final = {name: code for code, name in enumerate(EVENT_TYPES)}
PLANS: Final = ("free", "trial", "paid", "enterprise")
PROGRAMS: Final = ("trial-5", "trial-25", "refer-a-friend", "partner-credit", "launch-credit")
PAYMENT_KINDS: Final = ("card", "prepaid", "virtual", "wallet", "bank")
MODELS: Final = ("small-3", "medium-3", "large-3", "large-3-long")
ACTIONS: Final = ("throttle", "suspend", "restore")
REASONS: Final = ("rate_limit", "terms", "chargeback", "review", "appeal")


class Country(NamedTuple):
    """A country of origin: share of sign-ups, offset from UTC, and how its mobile numbers look."""

    code: str
    weight: float
    utc_offset: int
    mobile_prefixes: tuple[int, ...]
    tail_digits: int


# Area code and first digit of the exchange; exchanges start with 2 to 9.
_AMERICAN: Final = tuple(
    10_000 + 10 * area + digit
    for area in (
        201,
        206,
        212,
        214,
        303,
        305,
        310,
        312,
        404,
        408,
        415,
        469,
        503,
        512,
        602,
        617,
        646,
        702,
        718,
        773,
    )
    for digit in range(2, 10)
)
COUNTRIES: Final = (
    Country("US", 0.34, -6, _AMERICAN, 6),
    Country("DE", 0.10, 1, (49151, 49160, 49170, 49171, 49175, 49176), 8),
    Country("GB", 0.09, 0, (44741, 44742, 44750, 44771, 44780), 7),
    Country("IN", 0.14, 5, (9170, 9180, 9181, 9190, 9198, 9199), 8),
    Country("BR", 0.07, -3, (551199, 551198, 552199, 553199, 554199), 7),
    Country("FR", 0.06, 1, (3361, 3362, 3366, 3368), 7),
    Country("PL", 0.04, 1, (4850, 4851, 4860, 4869, 4872, 4878), 7),
    Country("JP", 0.05, 9, (81801, 81805, 81903, 81909), 7),
    Country("NL", 0.03, 1, (3161, 3162, 3164, 3165), 7),
    Country("ID", 0.04, 7, (62812, 62813, 62821, 62852), 8),
    Country("ES", 0.03, 1, (346,), 8),
    Country("AU", 0.01, 10, (6141, 6142, 6143), 7),
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES: Final = _words(
    """
    aaron adele agnes ahmed aisha akira alba alex alice amara amir ana anders anika anna anton arjun
    astrid ava bea bella ben bianca bruno camila carla carlos cecile chen chloe clara claudia dana
    daniel daria david deepa diego dina dora edith elena elias elif emil emma erik esther eva farid
    fatima felix fiona frida gabriel gina greta gustav hana hannah haruto helena hugo ibrahim ida igor
    ines irene isha ivan jakub jana jasmin joana johan jonas julia kaito karim karin kavya kenji klara
    kofi lars laura leila lena leo lina lucas luis luna maja malik marco maria marta mateo maya mei mila
    mina miriam mohan nadia naomi nikhil nina noah nora olga oliver omar oscar paula pedro petra priya
    rafael rahul rania remy rosa ruben samira sven tara
    """
)
LAST_NAMES: Final = _words(
    """
    abbott acosta ahlberg almeida andersen aoki archer arnold bachmann baker banerjee barros bauer
    becker bennett berg bergmann bernard bianchi blake boyd brandt brooks burke cabrera campos cardoso
    carlsen castro chandra chavez clarke cohen collins conti costa cruz dahl das delgado desai dietrich
    dixon dubois duarte eklund ellis engel estrada farrell fernandes ferrari fischer fleming fontaine
    foster franke fuchs fujita galvez garcia gill gomes graham grant greco gupta haas hahn hansen harada
    hartmann hayes heller herrera hoffmann holm horvath huber hughes ibsen ito iyer jansen jensen joshi
    kaiser kapoor keller khanna kim klein kowalski kramer krause kumar lambert lang larsen laurent leroy
    lindberg lopes lorenz madsen maier mancini marsh martens mehta mendes meyer mori moreau mueller
    murray nair navarro nguyen nielsen novak olsen ortega ozturk patel petrov ramos silva
    """
)
WORDS: Final = _words(
    """
    acorn agile alder alpine amber anchor apex arbor arc argon ash aspen atlas aurora axis azure badger
    basalt bay beacon beam bear birch bison blaze bloom blue bolt boulder bramble breeze bridge bright
    brook canyon cardinal cascade cedar chalk cinder circle citrus clear cliff cloud clover coast cobalt
    comet compass copper coral cosmic crane creek crest crimson crystal cypress dawn deep delta dew
    dragon drift dune dusk eagle early earth east echo elm ember emerald ever falcon fern field fir
    fjord flint flow fog forest forge fox frost garnet glacier glade glass gold granite grand green
    grove gull harbor hawk hazel heath heron hill hollow horizon indigo iris iron island ivory ivy jade
    jasper juniper kelp kestrel kite lagoon lake lark laurel lava lemon lilac linden lotus lunar
    """
)
NAME_TEMPLATES: Final = (
    "{First} {Last}'s Organization",
    "{First}'s Organization",
    "{First} {Last}",
    "{Word} {Other}",
    "{Word}{other} Labs",
    "{Word} {Other} GmbH",
    "{Word} {Other} Studio {n}",
    "{First} {Last} Consulting",
    "{Word}{other} AI {n}",
    "{first}{last}{n}",
    "{Other} & {Word}",
    "team-{word}-{other}-{n}",
    "{Last} {Other} Software Ltd",
)
PROVIDERS: Final = (
    "gmail.com",
    "outlook.com",
    "yahoo.com",
    "icloud.com",
    "proton.me",
    "gmx.de",
    "hotmail.com",
    "mail.com",
)
PROVIDER_SHARES: Final = (0.55, 0.15, 0.09, 0.07, 0.05, 0.03, 0.04, 0.02)
DOMAIN_ENDINGS: Final = (".com", ".io", ".dev", ".net", ".org", ".ai", ".co", ".app")
MAILBOX_WORDS: Final = ("hello", "admin", "dev", "info", "team", "billing", "api", "me")

_SYSTEMS: Final = (
    "Windows NT 10.0; Win64; x64",
    "Macintosh; Intel Mac OS X 10_15_7",
    "X11; Linux x86_64",
    "X11; Ubuntu; Linux x86_64",
)
BROWSERS: Final = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    for version in (138, 139, 140, 141)
    for system in _SYSTEMS
) + tuple(
    f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
    for version in (141, 142, 143)
    for system in _SYSTEMS
)
CLIENTS: Final = tuple(
    f"coding-agent/{version} ({system})"
    for version in ("1.4.2", "1.5.0", "1.5.1", "1.6.0")
    for system in ("darwin; arm64", "linux; x64", "windows; x64")
)
LIBRARIES: Final = (
    "python-sdk/2.3.1",
    "python-sdk/2.4.0",
    "node-sdk/1.18.2",
    "node-sdk/1.19.0",
    "go-http-client/2.0",
    "python-httpx/0.28.1",
    "python-requests/2.32.5",
    "axios/1.12.2",
    "okhttp/4.12.0",
    "curl/8.16.0",
)
USER_AGENTS: Final = BROWSERS + CLIENTS + LIBRARIES
FIRST_CLIENT: Final = len(BROWSERS)
FIRST_LIBRARY: Final = FIRST_CLIENT + len(CLIENTS)
# Zero-width space, zero-width non-joiner, word joiner, soft hyphen: invisible, and not equal to the eye's text.
INVISIBLE: Final = ("\u200b", "\u200c", "\u2060", "\u00ad")
# Cyrillic letters that look like the Latin ones.
LOOK_ALIKES: Final = {"a": "\u0430", "e": "\u0435", "o": "\u043e", "c": "\u0441", "p": "\u0440"}
