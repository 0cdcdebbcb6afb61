"""Looking for secrets where none may be left: on hosts' disks and in their memory, in seeds, in guestinfo, in Consul."""

from __future__ import annotations

import base64
import gzip
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from machines.nspawn import Host
from servers.provisioned_consul import ask

from kube_provision_core.folder.store import Folder

PKI = r"etc/kubernetes/pki/.*"
ETCD = r"var/lib/etcd/.*"
AT_REST = r"etc/kubernetes/api-server/encryption\.yaml"
GOSSIP = r"etc/kube-provision/consul/secrets\.json|var/lib/kube-provision-consul/serf/(local|remote)\.keyring"
MASTER_MAY_KEEP = re.compile(f"disk/upper/({PKI}|{ETCD}|{AT_REST}|{GOSSIP})")
OTHERS_MAY_KEEP = re.compile(f"disk/upper/({GOSSIP})")


def needles(folder: Folder) -> dict[str, str]:
    """What to look for, by what it is: text that is in no two secrets."""
    keys = {
        name: max(content.decode().splitlines(), key=len)
        for name, content in folder.pki.files.items()
        if name[-4:] == ".key"
    }
    if folder.encryption:
        keys |= {"key of Secrets": folder.encryption.key.secret, "their next key": folder.encryption.next.secret}
    return keys | {
        "token": folder.token.partition(".")[2],
        "certificate key": folder.certificate_key,
        "gossip key": folder.generated["consul_encrypt"],
        "seed of Consul's secrets": folder.generated["consul_seed"],
    }


def on_host(host: Host, wanted: Mapping[str, str]) -> list[str]:
    """`secret in path` for all that is found where it may not be: seed, shared folder, disk, memory, journal."""
    keeps = MASTER_MAY_KEEP if host.name.startswith("m-") else OTHERS_MAY_KEEP
    found = [*_in_folder(host.folder, wanted), *_in_memory(host, wanted), *_in_journal(host, wanted)]
    return sorted(f"{secret} in {path}" for secret, path in found if not keeps.fullmatch(path))


def in_consul(secrets: Folder, address: str, wanted: Mapping[str, str]) -> list[str]:
    """Keys and values, of the Consul that was made for the cluster with these secrets."""
    entries = ask(secrets, address, "GET", "/v1/kv/?recurse")
    stored = {entry["Key"]: base64.b64decode(entry["Value"] or "").decode(errors="replace") for entry in entries}
    return _in_texts(stored, wanted)


def in_guestinfo(settings: Mapping[str, Mapping[str, str]], wanted: Mapping[str, str]) -> list[str]:
    """What a hypervisor keeps of each machine, packed or not."""
    texts = {f"{key} of {name}": unpacked(values, key) for name, values in settings.items() for key in values}
    return _in_texts(texts, wanted)


def unpacked(values: Mapping[str, str], key: str) -> str:
    if values.get(f"{key}.encoding") == "gzip+base64":
        return gzip.decompress(base64.b64decode(values[key])).decode(errors="replace")
    return values[key]


def _in_texts(texts: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return [f"{secret} in {key}" for key, value in texts.items() for secret, text in wanted.items() if text in key + value]


def _in_folder(folder: Path, wanted: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for secret, path in _grep(["grep"], wanted, *(str(folder / part) for part in ("seed", "channel", "disk"))):
        yield secret, str(Path(path).relative_to(folder))


def _in_memory(host: Host, wanted: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from _grep(host.entering("grep"), wanted, "/run", "/tmp", "/dev/shm")


def _in_journal(host: Host, wanted: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Its files may be compressed."""
    said = host.run("journalctl", "--no-pager", "--output=export", timeout=120)
    yield from ((secret, "the journal") for secret, text in wanted.items() if text in said)


def _grep(command: list[str], wanted: Mapping[str, str], *folders: str) -> Iterator[tuple[str, str]]:
    """Secret and path, once each; files may be binary."""
    options = ["--recursive", "--text", "--only-matching", "--with-filename", "--null", "--no-messages", "--devices=skip"]
    texts = [f"--regexp={text}" for text in wanted.values()]
    whole = [*command, *options, "--fixed-strings", *texts, *folders]
    done = subprocess.run(whole, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 1, 2), done.stderr  # 2: a file has gone in the meantime
    names = {text: secret for secret, text in wanted.items()}
    matches = {tuple(line.split("\0")) for line in done.stdout.splitlines()}
    yield from ((names[text], path) for path, text in matches)
