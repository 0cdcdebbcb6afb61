"""The file itself: what goes in comes out, and nothing else is taken for a backup."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from kube_provision_core.backup import About, Keys, Recipients, fit
from kube_provision_core.backup import contents as contents_of
from kube_provision_core.backup.keys import ARMOR, ARMOR_END
from kube_provision_core.backup.reader import Backup, check_backup, open_backup
from kube_provision_core.backup.writer import write_backup
from kube_provision_core.contract.errors import BackupError, ConfigError

ABOUT = About(
    cluster="prod",
    cluster_id="47d7b307-952d-482d-b82e-4eb4f0a8c043",
    kubernetes="1.37.1",
    etcd="3.6.8",
    created=datetime(2026, 11, 29, 6, 30, tzinfo=UTC),
    machines={"m-prod-1": "master", "w-prod-1": "worker"},
    documents=("config.yml",),
)
FILES = {"config/config.yml": b"name: prod\n", "folder/cluster.json": b"{}", "folder/pki/ca.key": b"secret"}


@dataclass(frozen=True)
class Pieces:
    """A snapshot that arrives in pieces."""

    content: bytes = field(default_factory=lambda: os.urandom(200_000))
    piece: int = 32 * 1024
    revision: int = 42
    promised: int | None = None

    @property
    def size(self) -> int:
        return len(self.content) if self.promised is None else self.promised

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.content), self.piece):
            yield self.content[start : start + self.piece]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key.txt"
    path.write_text(f"# made for this test\n{pyrage.x25519.Identity.generate()}\n")
    return path


def recipient(identity: Path) -> str:
    return str(pyrage.x25519.Identity.from_str(identity.read_text().splitlines()[1]).to_public())


def to(identity: Path, passphrase: str = "") -> Recipients:
    return Recipients.read([recipient(identity)], [], passphrase)


def backup(recipients: Recipients, snapshot: Pieces) -> bytes:
    sink = io.BytesIO()
    write_backup(sink, recipients, ABOUT, FILES, snapshot)
    return sink.getvalue()


def trouble(content: bytes, keys: Keys) -> str:
    with pytest.raises(BackupError) as raised:
        check_backup(io.BytesIO(content), keys)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture(scope="module")
def small(identity: Path) -> bytes:
    return backup(to(identity), Pieces(os.urandom(600)))


def places(content: bytes) -> Iterator[int]:
    """Everywhere in its header, and some in each block of what follows, where age has but one tag for all."""
    yield from range(0, 600, 3)
    yield from range(600, len(content) - 40, 97)
    yield from range(len(content) - 40, len(content))


def test_what_goes_in_comes_out(identity: Path) -> None:
    snapshot = Pieces()
    with open_backup(io.BytesIO(backup(to(identity), snapshot)), Keys.read([identity])) as read:
        assert (read.about, read.files, read.size) == (ABOUT, FILES, len(snapshot.content))
        assert b"".join(read.snapshot()) == snapshot.content
        assert read.end.revision == 42


def test_whoever_reads_no_further_than_the_beginning_waits_for_nothing(identity: Path) -> None:
    source = io.BytesIO(backup(to(identity), Pieces(os.urandom(2_000_000))))
    with open_backup(source, Keys.read([identity])) as read:
        assert read.about == ABOUT
    assert source.tell() < 1_500_000


def test_a_backup_cut_anywhere_is_none(small: bytes, identity: Path) -> None:
    keys = Keys.read([identity])
    for length in places(small):
        assert trouble(small[:length], keys), length


def test_a_backup_changed_anywhere_is_none(small: bytes, identity: Path) -> None:
    keys = Keys.read([identity])
    for place in places(small):
        changed = bytearray(small)
        changed[place] ^= 0x01
        assert trouble(bytes(changed), keys), place


def test_a_backup_with_more_behind_it_is_none(small: bytes, identity: Path) -> None:
    for more in (b"\0", b"more", small):
        assert "not whole" in trouble(small + more, Keys.read([identity]))


def test_of_a_damaged_backup_no_piece_passes_for_the_last_one(identity: Path) -> None:
    content = backup(to(identity), Pieces())
    beginning = content.index(b"\n--- ") + 5 + 43 + 1 + 16
    for chunk in (1, 2, 3):
        assert "cut" in trouble(content[: beginning + chunk * (65536 + 16)], Keys.read([identity]))
    with open_backup(io.BytesIO(content[:-1000]), Keys.read([identity])) as read, pytest.raises(BackupError, match="cut"):
        list(read.snapshot())


def test_a_passphrase_opens_it_and_another_one_does_not(identity: Path) -> None:
    content = backup(Recipients.read([], [], "correct horse"), Pieces(os.urandom(3000)))
    assert check_backup(io.BytesIO(content), Keys(passphrase=lambda: "correct horse")).about == ABOUT
    assert "passphrase does not open it" in trouble(content, Keys(passphrase=lambda: "battery staple"))
    assert "is under a passphrase" in trouble(content, Keys())
    assert "none of the keys given opens it" in trouble(content, Keys.read([identity]))


def test_a_passphrase_that_takes_too_long_is_not_called_a_wrong_one(identity: Path, tmp_path: Path) -> None:
    sealed = pyrage.passphrase.encrypt(identity.read_bytes(), "correct horse")
    slow, file = re.sub(rb"(-> scrypt \S+) \d+", rb"\1 40", sealed), tmp_path / "key.age"
    armored = ARMOR + re.sub(rb"(.{1,64})", rb"\1\n", base64.b64encode(slow)) + ARMOR_END
    assert "open it on a faster one" in trouble(armored, Keys(passphrase=lambda: "correct horse"))
    file.write_bytes(slow)
    with pytest.raises(ConfigError, match=r"key\.age: the passphrase was not tried, .*: open it on a faster one"):
        Keys.read([file], lambda: "correct horse")


def test_a_backup_under_a_passphrase_is_none_once_cut_or_changed() -> None:
    content = backup(Recipients.read([], [], "correct horse"), Pieces(os.urandom(3000)))
    keys = Keys(passphrase=lambda: "correct horse")
    block = content.index(b"-----END")
    for place in (0, 40, block - 10, block + 5, block + 40, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 0x01
        assert trouble(bytes(changed), keys), place
        assert trouble(content[:place], keys), place


def test_a_recipient_and_a_passphrase_open_it_each_by_itself(identity: Path) -> None:
    content = backup(to(identity, "correct horse"), Pieces(os.urandom(3000)))
    for keys in (Keys.read([identity]), Keys(passphrase=lambda: "correct horse")):
        assert check_backup(io.BytesIO(content), keys).files == FILES


def test_an_ssh_key_opens_it(tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    recipients = Recipients.read([], [key.with_suffix(".pub")])
    assert check_backup(io.BytesIO(backup(recipients, Pieces())), Keys.read([key])).about == ABOUT


def test_an_identity_may_be_under_a_passphrase_itself(identity: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "key.age"
    sealed.write_bytes(pyrage.passphrase.encrypt(identity.read_bytes(), "correct horse"))
    content = backup(to(identity), Pieces(os.urandom(3000)))
    assert check_backup(io.BytesIO(content), Keys.read([sealed], lambda: "correct horse")).about == ABOUT
    with pytest.raises(ConfigError, match="the passphrase does not open it"):
        Keys.read([sealed], lambda: "battery staple")


def test_a_key_of_others_opens_nothing(small: bytes, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    assert "none of the keys given opens it" in trouble(small, Keys.read([other]))
    assert "give one of them by --identity-file" in trouble(small, Keys())


def test_what_is_no_backup_is_told_as_that(identity: Path) -> None:
    keys = Keys.read([identity])
    assert "does not begin as one" in trouble(b"PK\3\4 an archive of something else", keys)
    assert "by a later version" in trouble(sealed(identity, {"backup.json": b'{"format": 2}'}), keys)
    for members in ({"notes": b""}, {"backup.json": b"[]"}, {"backup.json": b"no JSON"}, {"backup.json": b'{"format": 1}'}):
        assert "no backup as kube-provision writes it" in trouble(sealed(identity, members), keys)


def test_no_member_may_lead_elsewhere(identity: Path) -> None:
    about = contents_of.written(ABOUT)
    for path in ("folder/../../etc/passwd", "/etc/passwd", "elsewhere/a", "config//etc/passwd", "config/./a", "folder/"):
        members = {"backup.json": about, path: b"", "snapshot.db": b"", "end.json": b""}
        assert "no backup as kube-provision writes it" in trouble(sealed(identity, members), Keys.read([identity]))


def test_its_configuration_is_in_it(identity: Path) -> None:
    about = contents_of.written(replace(ABOUT, documents=("/etc/passwd",)))
    members = {"backup.json": about, "snapshot.db": b"", "end.json": b""}
    assert "no backup as kube-provision writes it" in trouble(sealed(identity, members), Keys.read([identity]))


def test_a_snapshot_must_be_what_its_end_says(identity: Path) -> None:
    about, end = contents_of.written(ABOUT), contents_of.written(contents_of.End(3, "00", 1))
    members = {"backup.json": about, "snapshot.db": b"abc", "end.json": end}
    assert "no backup as kube-provision writes it" in trouble(sealed(identity, members), Keys.read([identity]))
    assert "no backup as kube-provision writes it" in trouble(
        sealed(identity, dict(list(members.items())[:2])), Keys.read([identity])
    )


def sealed(identity: Path, members: dict[str, bytes]) -> bytes:
    """What anybody may encrypt to us."""
    return encrypted(identity, b"".join(member(path, content) for path, content in members.items()))


def member(path: str, content: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    header = tarfile.TarInfo(path)
    header.size, header.type = len(content), kind
    return header.tobuf() + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def encrypted(identity: Path, tar: bytes) -> bytes:
    outside = io.BytesIO()
    ended = tar + bytes(2 * tarfile.BLOCKSIZE)
    pyrage.encrypt_io(io.BytesIO(ended), outside, [pyrage.x25519.Recipient.from_str(recipient(identity))])
    return outside.getvalue()


def whole(identity: Path, *before: bytes, snapshot: bytes | None = None, behind: bytes = b"", content: bytes = b"") -> bytes:
    """One with nothing wrong but what is given: members before the snapshot, the snapshot's own, what is behind it."""
    about = contents_of.written(replace(ABOUT, documents=()))
    end = contents_of.written(contents_of.End(len(content), hashlib.sha256(content).hexdigest(), 1))
    taken = member("snapshot.db", content) if snapshot is None else snapshot
    return encrypted(identity, b"".join((member("backup.json", about), *before, taken, behind, member("end.json", end))))


def sparse(path: str, size: int) -> bytes:
    """One header, and as many zeros as it says."""
    header = bytearray(member(path, b"", tarfile.GNUTYPE_SPARSE))
    header[386 : 386 + 24] = b"%011o\0%011o\0" % (size, 0)
    header[483 : 483 + 12] = b"%011o\0" % size
    return summed(header)


def summed(header: bytearray) -> bytes:
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def records(**values: str) -> bytes:
    """What stands before a member, in POSIX' form."""
    lines = b""
    for key, value in values.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        size = next(size for size in range(len(line), len(line) + 12) if size == len(str(size)) + len(line))
        lines += b"%d" % size + line
    return member("records", lines, tarfile.XHDTYPE)


class TestWhatAnybodyMayWrite:
    """It ends, in little memory and in one line, whatever it says of itself."""

    def test_nothing_is_wrong_with_it_as_it_is(self, identity: Path) -> None:
        assert check_backup(io.BytesIO(whole(identity, content=b"abc")), Keys.read([identity])).end.size == 3

    @pytest.mark.parametrize("size", [3, 2**30])
    def test_bytes_that_nobody_has_written_are_none(self, identity: Path, size: int) -> None:
        for content in (
            whole(identity, snapshot=sparse("snapshot.db", size), content=bytes(3)),
            whole(identity, sparse("folder/a", size)),
            whole(identity, snapshot=records(GNU__sparse__map="", GNU__sparse__size=str(size)) + member("snapshot.db", b"")),
        ):
            assert "no backup as kube-provision writes it" in trouble(content, Keys.read([identity]))

    def test_files_are_bounded_together(self, identity: Path) -> None:
        count = contents_of.LARGEST_SUM // contents_of.LARGEST_FILE
        files = [member(f"folder/{number}", bytes(contents_of.LARGEST_FILE)) for number in range(count)]
        assert len(check_backup(io.BytesIO(whole(identity, *files)), Keys.read([identity])).files) == count
        one_more = member("folder/one-more", b"1")
        assert "no backup" in trouble(whole(identity, *files, one_more), Keys.read([identity]))

    def test_headers_are_bounded_wherever_they_stand(self, identity: Path) -> None:
        large = 8 * 1024 * 1024
        for header in (records(comment="x" * large), member("long", b"x" * large, tarfile.GNUTYPE_LONGNAME)):
            for content in (whole(identity, header + member("folder/a", b"")), whole(identity, behind=header)):
                assert "no backup as kube-provision writes it" in trouble(content, Keys.read([identity]))

    def test_headers_that_make_no_sense(self, identity: Path) -> None:
        nothing = member("folder/a", b"")
        for header in (
            records(GNU__sparse__major="1", GNU__sparse__minor="0"),
            records(GNU__sparse__map="x"),
            records(size="-5"),
            member("records", b"", tarfile.XHDTYPE) * 1500,
        ):
            assert "no backup as kube-provision writes it" in trouble(
                whole(identity, header + nothing), Keys.read([identity])
            )

    @pytest.mark.parametrize("said", [b"Infinity", b"-Infinity", b"NaN", b"[" * 100_000, b"9" * 5000, b"[[]]"])
    def test_numbers_that_are_none(self, identity: Path, said: bytes) -> None:
        about = contents_of.written(ABOUT)
        end = b'{"size": 3, "sha256": "", "revision": ' + said + b"}"
        for members in (
            {"backup.json": about.replace(b'"format": 1', b'"format": ' + said)},
            {"backup.json": said},
            {"backup.json": about, "config/config.yml": b"", "snapshot.db": b"abc", "end.json": end},
        ):
            assert "backup" in trouble(sealed(identity, members), Keys.read([identity]))


def test_a_snapshot_that_is_not_as_long_as_promised_makes_no_backup(identity: Path) -> None:
    for promised in (100, 300_000):
        with pytest.raises(BackupError, match="back up again"):
            backup(to(identity), Pieces(promised=promised))


def test_what_nobody_would_read_is_not_written(identity: Path) -> None:
    """It is told before the snapshot is asked for its first piece."""

    class Untouched(Pieces):
        def __iter__(self) -> Iterator[bytes]:
            raise AssertionError

    many = {f"folder/{number}": b"" for number in range(contents_of.MOST_FILES + 1)}
    large = {"folder/core": bytes(contents_of.LARGEST_FILE + 1)}
    together = {f"folder/{number}": bytes(contents_of.LARGEST_FILE) for number in range(5)}
    told = ((many, "1001 files"), (large, "folder/core has 16777217 bytes"), (together, "have 83886080 bytes"))
    for files, says in told:
        with pytest.raises(BackupError, match=says):
            write_backup(io.BytesIO(), to(identity), ABOUT, files, Untouched())


def test_what_the_snapshot_or_the_sink_raises_is_raised_as_it_is(identity: Path) -> None:
    class Stopped(Pieces):
        def __iter__(self) -> Iterator[bytes]:
            yield b"beginning"
            raise KeyboardInterrupt

    class Full(io.BytesIO):
        def write(self, content: object, /) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(KeyboardInterrupt):
        backup(to(identity), Stopped())
    with pytest.raises(OSError, match="No space left"):
        write_backup(Full(), to(identity), ABOUT, FILES, Pieces())


@pytest.mark.parametrize("after", [-1, 30, 1000])
@pytest.mark.parametrize("problem", [ConnectionResetError(104, "Connection reset by peer"), ValueError("reset by peer")])
def test_a_store_that_fails_while_it_is_read_is_told_in_one_line(
    small: bytes, identity: Path, after: int, problem: Exception
) -> None:
    """At its first byte, in a key's block or later, and whatever its library raises."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > after:
                raise problem
            return super().read(min(size, 100) if size and size > 0 else 100)

    under_passphrase = ARMOR + small
    for content in (small, under_passphrase):
        with pytest.raises(BackupError, match=r"cannot be read: .*reset by peer"):
            check_backup(Failing(content), Keys.read([identity]))


def test_a_plain_age_and_a_plain_tar_read_it(identity: Path) -> None:
    snapshot = Pieces()
    inside = pyrage.decrypt(
        backup(to(identity), snapshot), [pyrage.x25519.Identity.from_str(identity.read_text().splitlines()[1])]
    )
    with tarfile.open(fileobj=io.BytesIO(inside)) as tar:
        assert tar.getnames() == ["backup.json", *sorted(FILES), "snapshot.db", "end.json"]
        content = tar.extractfile("snapshot.db")
        assert content is not None
        assert content.read() == snapshot.content


def test_older_versions_of_kubernetes_and_etcd_are_refused() -> None:
    ABOUT.refuse_newer(kubernetes="1.37.9", etcd="3.7.0")
    ABOUT.refuse_newer()
    replace(ABOUT, etcd="").refuse_newer(etcd="3.4.23")
    with pytest.raises(BackupError, match=r"of Kubernetes 1\.37\.1, and 1\.36\.4 is older"):
        ABOUT.refuse_newer(kubernetes="1.36.4")
    with pytest.raises(BackupError, match=r"of etcd 3\.6\.8, and 3\.5\.1 is older"):
        ABOUT.refuse_newer(etcd="3.5.1")


def test_nothing_secret_is_shown(identity: Path) -> None:
    with open_backup(io.BytesIO(backup(to(identity, "horse"), Pieces())), Keys.read([identity])) as read:
        assert isinstance(read, Backup)
        shown = repr((read.checked(), to(identity, "horse"), Keys.read([identity])))
    assert "AGE-SECRET" not in shown
    assert "horse" not in shown
    assert "'secret'" not in shown


class TestAddressesOfMasters:
    """Whoever knows a recipient may have written them, and a restoration asks each."""

    def test_come_out_as_they_went_in(self) -> None:
        about = replace(ABOUT, addresses=("10.0.0.1", "127.0.0.2"))
        assert contents_of.read_about(contents_of.written(about)) == about

    def test_of_a_backup_of_before_are_none(self) -> None:
        document = json.loads(contents_of.written(ABOUT))
        del document["addresses"]
        assert contents_of.read_about(json.dumps(document).encode()) == ABOUT

    @pytest.mark.parametrize(
        "told",
        [
            ["metadata.example"],
            ["10.0.0.0/8"],
            ["10.0.0.1:22"],
            ["::1"],
            ["0.0.0.0"],
            ["224.0.0.1"],
            ["255.255.255.255"],
            ["010.0.0.1"],
            ["10.0.0.1", "10.0.0.1"],
            [167772161],
            [None],
            "10.0.0.1",
            {"10.0.0.1": 1},
            7,
            [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(17)],
        ],
    )
    def test_that_nobody_would_write_are_asked_for_nothing(self, told: object) -> None:
        document = {**json.loads(contents_of.written(ABOUT)), "addresses": told}
        with pytest.raises(BackupError, match="is no backup as kube-provision writes it"):
            contents_of.read_about(json.dumps(document).encode())

    def test_are_written_as_they_may_be_read(self) -> None:
        many = [f"10.0.0.{number}" for number in range(1, 40)]
        found = fit(["m-prod-1", "fe80::1", *many, *many])
        assert found == tuple(many[:16])
        about = replace(ABOUT, addresses=found)
        assert contents_of.read_about(contents_of.written(about)) == about
