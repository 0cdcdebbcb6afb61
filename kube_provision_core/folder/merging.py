"""Another entry in a kubeconfig that is somebody else's: all that is not ours stays, to its comments and its order.

The text is changed only where entries of ours stand or will stand. Whether that has said what was meant is found out by
reading it again; a file in another style than kubectl's, such as JSON, is written anew, from its own words.
"""

from __future__ import annotations

import textwrap
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ..contract.errors import ConfigError
from .kubeconfig import Access

SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}
"""Lists of entries, by what an entry holds beside its name."""
CURRENT = "current-context"
_EMPTY = "apiVersion: v1\nkind: Config\n"


def merge(text: str, access: Access, *, use: bool, where: str) -> str:
    """The text of a kubeconfig with what `access` says. `use`: kubectl speaks to it from now on.

    Raises `ConfigError`, which names `where`, for what is no kubeconfig, and for one whose entries of these names are
    another cluster's. The same context, which its owner may have given a namespace, stays as it is.
    """
    if _compose(text, where) is None:
        text += _EMPTY
    text = text if text.endswith("\n") else f"{text}\n"
    there = _read(text, where)
    _check_ours(there, access, where)
    added: dict[str, Any] = {
        section: access.document[section][0]
        for section in SECTIONS
        if section != "contexts" or access.user not in there[section]
    }
    if use:
        added[CURRENT] = access.user
    anew = _written_anew(text, added)
    spliced = _spliced(text, added)
    return spliced if _same(spliced, anew) else anew


def _compose(text: str, where: str) -> yaml.Node | None:
    """Its tree. Nothing of the text is quoted: it holds keys."""
    try:
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{where}{line}: it is not YAML: mend it, or name another file") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{where}: it is not YAML: mend it, or name another file") from error


def _read(text: str, where: str) -> dict[str, dict[str, Any]]:
    """What it has, by section and name."""
    try:
        document = yaml.safe_load(text)
        if document.get("kind", "Config") != "Config":
            raise TypeError
        return {
            section: {str(entry["name"]): entry.get(part) or {} for entry in document.get(section) or ()}
            for section, part in SECTIONS.items()
        }
    except (AttributeError, TypeError, KeyError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{where}: it is YAML, but no kubeconfig: mend it, or name another file") from error


def _data(text: str) -> Any:
    """With every scalar as it is written."""
    return yaml.BaseLoader(text).get_single_data()


def _tree(text: str) -> Any:
    """Of what was found to be YAML."""
    return yaml.compose(text, yaml.SafeLoader)


# --- whose entries are there --------------------------------------------------------------------------------------------


def _check_ours(there: Mapping[str, Mapping[str, Any]], access: Access, where: str) -> None:
    wanted = access.document
    cluster, user = there["clusters"].get(access.cluster), there["users"].get(access.user)
    context = there["contexts"].get(access.user)
    key = "certificate-authority-data"
    strangers = {
        f"cluster {access.cluster}": cluster is not None and not _same_entry(cluster, wanted["clusters"][0]["cluster"], key),
        f"user {access.user}": user is not None and not _signed(user, access.authority),
        f"context {access.user}": context is not None and not _same_context(context, access),
    }
    for name in [name for name, strange in strangers.items() if strange]:
        raise ConfigError(f"{where}: its {name} is another cluster's, or not made by us: choose other names by --as")


def _same_entry(entry: Any, wanted: Mapping[str, str], key: str) -> bool:
    return isinstance(entry, dict) and entry.get(key) == wanted[key]


def _signed(user: Any, authority: bytes) -> bool:
    """By this cluster's authority; what its owner has put in its place is the owner's."""
    try:
        certificate = x509.load_pem_x509_certificate(b64decode(user["client-certificate-data"]))
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (LookupError, TypeError, ValueError, InvalidSignature):
        return False
    return True


def _same_context(context: Any, access: Access) -> bool:
    return isinstance(context, dict) and (context.get("cluster"), context.get("user")) == (access.cluster, access.user)


# --- in place -------------------------------------------------------------------------------------------------------------


def _spliced(text: str, added: Mapping[str, Any]) -> str:
    values = {key.value: value for key, value in _tree(text).value}
    changes = [_change(text, key, values.get(key), entry) for key, entry in added.items()]
    for start, end, replacement in sorted(changes, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def _change(text: str, key: str, value: yaml.Node | None, entry: Any) -> tuple[int, int, str]:
    """From where to where the text is replaced, and by what."""
    new = f"{_dump(entry)}" if key == CURRENT else f"\n{_item(entry, 0)}"
    if value is None:
        return len(text), len(text), f"{key}:{' ' if key == CURRENT else ''}{new}\n"
    if isinstance(value, yaml.SequenceNode) and value.value:
        return _change_list(text, value, entry)
    return value.start_mark.index, _end(text, value), f"{'' if _end(text, value) > value.start_mark.index else ' '}{new}"


def _change_list(text: str, entries: yaml.SequenceNode, entry: Any) -> tuple[int, int, str]:
    for node in entries.value:
        if _named(node, entry["name"]):
            column = node.start_mark.column
            return node.start_mark.index, _end(text, node), textwrap.indent(_dump(entry), " " * column).lstrip()
    end_of_line = text.index("\n", _end(text, entries))
    return end_of_line, end_of_line, f"\n{_item(entry, entries.start_mark.column)}"


def _item(entry: Any, column: int) -> str:
    """An entry of a list whose dashes stand in this column."""
    return " " * column + "- " + textwrap.indent(_dump(entry), " " * (column + 2)).lstrip()


def _named(node: yaml.Node, name: str) -> bool:
    return isinstance(node, yaml.MappingNode) and any(
        (key.value, value.value) == ("name", name) for key, value in node.value
    )


def _end(text: str, node: yaml.Node) -> int:
    """Where its own words end: the mark of a block is only where the next ones begin, after comments."""
    while not getattr(node, "flow_style", True) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return max(node.start_mark.index, len(text[: node.end_mark.index].rstrip()))


def _dump(entry: Any) -> str:
    return yaml.safe_dump(entry, sort_keys=False, width=2**20).removesuffix("\n").removesuffix("\n...")


# --- anew -----------------------------------------------------------------------------------------------------------------


def _written_anew(text: str, added: Mapping[str, Any]) -> str:
    """Without its comments, but with all its words as they were."""
    root = _tree(text)
    for key, entry in added.items():
        _put(root, key, _tree(_dump(entry)))
    return str(yaml.serialize(root, Dumper=yaml.SafeDumper, width=2**20, allow_unicode=True))


def _put(root: yaml.MappingNode, key: str, new: yaml.Node) -> None:
    values = {name.value: value for name, value in root.value}
    if key != CURRENT:
        old = values.get(key)
        new = _with_entry(old if isinstance(old, yaml.SequenceNode) else None, new)
    kept = [(name, new if name.value == key else value) for name, value in root.value]
    missing = [] if key in values else [(yaml.ScalarNode("tag:yaml.org,2002:str", key), new)]
    root.value = [*kept, *missing]


def _with_entry(old: yaml.SequenceNode | None, new: yaml.Node) -> yaml.SequenceNode:
    name = next(value.value for key, value in new.value if key.value == "name")
    entries = list(old.value) if old else []
    there = [index for index, node in enumerate(entries) if _named(node, name)]
    entries[there[0] if there else len(entries) : there[0] + 1 if there else len(entries)] = [new]
    return yaml.SequenceNode("tag:yaml.org,2002:seq", entries, flow_style=old.flow_style if old else False)


def _same(spliced: str, anew: str) -> bool:
    try:
        return bool(_data(spliced) == _data(anew))
    except yaml.YAMLError:
        return False
