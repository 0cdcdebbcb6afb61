"""What looks like a secret is not shown where a text is kept, or given to others."""

from __future__ import annotations

import re
from base64 import b64decode

HIDDEN = "(secret)"


def _between(begin: str, end: str) -> re.Pattern[str]:
    """From there to there, in several lines too; to the end of the line where there is no end before the next begins."""
    return re.compile(rf"(?:{begin})(?:(?:(?!{begin})(?s:.))*?(?:{end})|[^\n]*)")


# Each begins where a word does, and goes on without a way back: a word may be as long as all that is told.
_LOOKS = (
    re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"),
    re.compile(  # of one whose beginning was cut off
        r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]++=*+(?=(?:\n|\\n)[^\n]{0,200}-----END [A-Z ]*PRIVATE KEY)"
    ),
    re.compile(r"(?<![\w-])(?=[\w-]*eyJ[\w-]{8})[\w-]++\.[\w-]{8,}+\.[\w-]*+"),  # a JWT
    re.compile(r"(?<![\w.])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w.])"),  # a bootstrap token of kubeadm
    re.compile(r"\bAGE-SECRET-KEY-[A-Z0-9-]+", re.IGNORECASE),
    re.compile(r"(?i)(?<=bearer )[\w.~+/=-]{8,}"),
    re.compile(r"(?i)(?<=basic )[\w+/=-]{8,}"),
    re.compile(r"\$(?:1|2[aby]|5|6|7|y|gy)\$[\w./$=,-]{16,}"),  # a password as crypt(3) keeps it
    # A container as a kubelet tells of it that cannot start it: what it runs, its environment, how it is probed.
    _between(r"(?<=[,{])(?:Command|Args):\[(?!\],)", r"\](?=,(?:\}|[A-Z]\w*:))"),
    _between(r"\bEnvVar\{Name:[^,{}]*,Value:", r"(?=,ValueFrom:)"),
    _between(r"\bHTTPHeader\{Name:[^,{}]*,Value:", r"(?=,\})"),
)
_LOGIN = re.compile(r"""://(?P<login>[^\s"]+(?=@))?(?P<rest>[^\s"]*)""")
"""To the last `@` of the word: a password may have any letter in it, where nobody has encoded it."""
_SAID = (
    r"(?:passw(?:or)?d|passphrase|secret|token|credential|database[-_]?url"
    r"|(?:access|api|certificate|encryption|master|private|signing)[-_]?key)"
)
"""What is said of a secret in its name, whatever else is."""
_SAID_LAST = r"(?:auth|encrypt|pass|pwd)"
_ABOUT = r"(?:file|path|dir|name)"
"""Last in the name of what tells where a secret lies, or how it is called."""
_NAME = rf"(?: (?= [\w-]* (?: {_SAID} | {_SAID_LAST} (?![\w-]) ) ) (?! [\w-]* {_ABOUT} (?![\w-]) ) [\w-]++ )"
_QUOTE = r"""\\{0,7}["']"""
"""Also within a text that is quoted itself."""
_VALUE = rf"""(?P<value> (?P<quote>{_QUOTE}) (?: (?s:.)*? (?<!\\)(?P=quote) | [^\n]* ) | [^\s,;&"']+ )"""
_NAMED = re.compile(
    rf"""(?ix)
    (?P<name> (?<![\w-]) {_NAME} (?:{_QUOTE})? )
    (?P<is> \s*+=\s* | :\s*(?={_QUOTE}|[a-z]*+[^\sa-z"']) | (?<=key)\ (?=[0-9a-f]{{32}}) )
    {_VALUE}"""
)
"""After a colon a mere word is what is said of the thing: `vcenter_password: missing`."""
_PAIR = re.compile(
    rf"""(?ix)
    (?P<before>
      (?<![\w-]) name (?:{_QUOTE})? \s*[:=]\s* (?:{_QUOTE})? {_NAME} (?:{_QUOTE})? \s*
      (?: , | (?:\n|\\n) [^\n]{{0,200}}? ) \s* (?:{_QUOTE})? (?<![\w-]) value (?:{_QUOTE})? \s*[:=]\s* )
    {_VALUE}"""
)
"""As Kubernetes gives what has a name of its own: `{{"name": "DB_PASSWORD", "value": "…"}}`, or in two lines."""
_OPTION = re.compile(rf"(?ix)(?P<name> (?<![\w-]) --{_NAME} ) \ (?P<value>[^\s-]\S*)")
_SECRET_KEY = re.compile(rf"(?ix)(?<![\w-]){_NAME}")

_BASE64 = re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{16,}={0,2}")
_LINE_OF_KEY = 40
"""Letters of base64 in a row that are taken for a part of a key. A hexadecimal digest is no mixture, and a path has dots."""
_REST = re.compile(
    rf"(?P<before>{re.escape(HIDDEN)}(?:\n|\\n)(?:[^\n]{{0,200}}?[\s:])?)(?P<rest>[A-Za-z0-9+/]++=*+)(?=\n|\\n|\"|\Z)"
)
"""The last line of what was encoded in several: the last word after one that was hidden."""


def hide(text: str) -> str:
    """The text without what looks like a private key, a token, or the value of something that is named like a secret."""
    text = _BASE64.sub(lambda found: HIDDEN if _encodes_secret(found.group()) else found.group(), _without_looks(text))
    return _REST.sub(rf"\g<before>{HIDDEN}", text)


def _without_looks(text: str) -> str:
    for look in _LOOKS:
        text = look.sub(HIDDEN, text)
    text = _LOGIN.sub(lambda url: f"://{HIDDEN if url['login'] else ''}{url['rest']}", text)
    text = _PAIR.sub(rf"\g<before>{HIDDEN}", text)
    text = _NAMED.sub(rf"\g<name>\g<is>{HIDDEN}", text)
    return _OPTION.sub(rf"\g<name> {HIDDEN}", text)


def names_secret(key: str) -> bool:
    """Whether what has that name is a secret by its name."""
    return bool(_SECRET_KEY.search(key))


def _encodes_secret(word: str) -> bool:
    """A part of a key, or what would be hidden if it were not encoded."""
    if len(word) >= _LINE_OF_KEY and _is_mixed(word):
        return True
    try:
        decoded = b64decode(word + "=" * (-len(word) % 4)).decode()
    except ValueError:
        return False
    return _without_looks(decoded) != decoded


def _is_mixed(word: str) -> bool:
    return all(re.search(letters, word) for letters in ("[A-Z]", "[a-z]", "[0-9]"))
