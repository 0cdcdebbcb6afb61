"""Keys of a configuration that were given or taken away since the cluster was made: what planners that make masters say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from doubles import restoration
from doubles.backups import back_up
from doubles.facts import GivenFacts
from doubles.restoration import ABSENT, archived, desire
from doubles.site import Site

from kube_provision_core.backup import Archive
from kube_provision_core.boot import api_server
from kube_provision_core.cluster import Living
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.desired import to_render
from kube_provision_core.cluster.etcd import EtcdMember
from kube_provision_core.cluster.kubeadm_configuration import KubeadmConfiguration
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.config.core import CoreConfig
from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Discovery, Role, Vm
from kube_provision_core.engine.facts import Known
from kube_provision_core.engine.plan import Plan
from kube_provision_core.engine.session import open_session
from kube_provision_core.engine.verb import Options
from kube_provision_core.folder.encryption import ENCRYPTION, Stage, create_encryption, encryption_document, read_encryption
from kube_provision_core.folder.store import Folder
from kube_provision_core.verbs import provision, restore
from kube_provision_core.verbs import replace as replacing

KEYS = create_encryption()
POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
LIVES = Discovery(initialised=True, cluster_id="id-1")
GIVEN = "encryption_at_rest: cluster prod was made without it, and what has begun cannot be given it: set it to false"
TAKEN = "encryption_at_rest: Secrets of cluster prod are encrypted, and masters without the keys would not read them: set it"


def facts(vms: tuple[Vm, ...], encryption: Any, *, encrypts: bool, living: Living | None = None, **keys: Any) -> GivenFacts:
    seen = Observation(desire().cluster, vms, LIVES if vms else ABSENT)
    known, core = Known(living or Living()), CoreConfig(name="prod", target="t", os="o", discovery="d", **keys)
    given = GivenFacts(seen, initialised=Known(bool(vms)), nodes=known, members=known, encrypts=encrypts)
    given.folder.encryption = encryption
    given.core = lambda role: core  # type: ignore[method-assign, assignment]
    return given


def provisioned(given: GivenFacts) -> Plan:
    return provision.plan(desire(), given, Options())


def replaced(given: GivenFacts, name: str = "m-prod-2") -> Plan:
    return replacing.plan(desire(), given, Options(nodes=(name,), wait=True))


def restored(given: GivenFacts) -> Plan:
    given.archive = archived()
    return restore.plan(desire(), given, Options(wait=True))


@pytest.mark.parametrize("verb", [provisioned, replaced, restored])
@pytest.mark.parametrize(("encryption", "encrypts", "said"), [(None, True, GIVEN), (KEYS, False, TAKEN)])
def test_a_cluster_keeps_its_secrets_as_it_was_made(
    verb: Callable[[GivenFacts], Plan], encryption: Any, encrypts: bool, said: str
) -> None:
    with pytest.raises(ConfigError) as told:
        verb(facts(restoration.WHOLE, encryption, encrypts=encrypts))
    (line,) = told.value.problems
    assert line.startswith(said)
    assert KEYS.key.secret not in line


@pytest.mark.parametrize(("encryption", "encrypts"), [(None, False), (KEYS, True)])
def test_one_that_is_as_its_folder_says_is_left_in_peace(encryption: Any, encrypts: bool) -> None:
    whole = tuple(replace(it, scrubbed=True) for it in restoration.WHOLE)
    assert provisioned(facts(whole, encryption, encrypts=encrypts)).changes == ()
    assert restored(facts((), encryption, encrypts=encrypts)).changes


class TestABackup:
    ONE: ClassVar[dict[str, Any]] = {"masters": 1, "workers": 1, "encryption_at_rest": True}

    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        site = Site(tmp_path / "state")
        site.provision(**self.ONE)
        return site

    @pytest.fixture
    def folder(self, site: Site) -> Folder:
        assert site.folder
        return site.folder

    @pytest.fixture
    def archive(self, folder: Folder, tmp_path: Path) -> Archive:
        return back_up(folder, b"what etcd has", tmp_path / "prod.age")

    def test_has_the_keys_with_which_its_snapshot_was_written(self, folder: Folder, archive: Archive) -> None:
        assert folder.encryption
        assert folder.encryption == read_encryption(archive.folder[ENCRYPTION], "the backup")

    @pytest.mark.parametrize("lost", [True, False])
    @pytest.mark.parametrize("stage", Stage)
    def test_is_read_with_them_by_all_masters_of_the_cluster_that_is_made_of_it(
        self, site: Site, folder: Folder, tmp_path: Path, stage: Stage, lost: bool
    ) -> None:
        """Whether or not the folder is still there, whose keys may be others by now."""
        assert folder.encryption
        held = folder.encryption.at(stage)
        folder.files.change({ENCRYPTION: encryption_document(held)})
        archive = back_up(folder, b"what etcd has", tmp_path / "prod.age")
        folder.files.change({ENCRYPTION: encryption_document(create_encryption())})
        if lost:
            shutil.rmtree(site.state)
        with open_session(site.config(**self.ONE), site.state, archive=archive) as session:
            for carries_ca in (True, False):
                (node,) = session.desired.masters
                node = replace(node, stamp=replace(node.stamp, carries_ca=carries_ca))
                boot = session.render(node, to_render(session.desired.cluster), session.folder.join_secrets())
                (file,) = [file for file in boot.files if file.path == api_server.KEYS]
                assert file.content == api_server.encryption_configuration(held)
            session.folder.save()
            session.folder.begin_restore(archive.end.sha256)
        assert site.folder
        assert site.folder.encryption == held

    def test_of_a_cluster_that_is_not_restored_after_all_changes_nothing(self, site: Site, archive: Archive) -> None:
        rotated = create_encryption()
        assert site.folder
        site.folder.files.change({ENCRYPTION: encryption_document(rotated)})
        with open_session(site.config(**self.ONE), site.state, archive=archive) as session:
            session.folder.save()
            session.folder.begin_abandoning(archive.end.sha256)
        assert site.folder.encryption == rotated


class TestFilesThatApiServersAreToldToRead:
    """Since the cluster was initialised, by a ConfigMap that each new master is made by."""

    WITHOUT_A_MASTER = tuple(it for it in restoration.WHOLE if it.name != "m-prod-2")
    WITHOUT_A_WORKER = tuple(it for it in restoration.WHOLE if it.stamp and it.stamp.role is not Role.WORKER)

    @pytest.mark.parametrize(("path", "key"), sorted(api_server.FILES.items()))
    def test_are_missed_by_a_master_that_is_made_once_their_key_is_gone(self, path: str, key: str) -> None:
        said = (
            f"{key}: API servers of cluster prod read {path}, which masters are given for this key: one that is made "
            "without it would not start. Set the key again, or take what names the file out of the ConfigMap kubeadm-config "
            "in kube-system"
        )
        for verb, vms in ((provisioned, self.WITHOUT_A_MASTER), (replaced, restoration.WHOLE)):
            with pytest.raises(ConfigError) as told:
                verb(facts(vms, None, encrypts=False, living=living(path)))
            assert told.value.problems == (said,)

    def test_are_there_where_their_key_is(self) -> None:
        there = living(path_of("audit_policy"))
        given = facts(self.WITHOUT_A_MASTER, None, encrypts=False, living=there, audit_policy=POLICY)
        assert "create m-prod-2" in {it.key for it in provisioned(given).changes}

    def test_are_each_told(self) -> None:
        paths = path_of("audit_policy"), path_of("pod_security"), "/etc/kubernetes/api-server/somebody's.yaml", "/etc/other"
        with pytest.raises(ConfigError) as told:
            provisioned(facts(self.WITHOUT_A_MASTER, None, encrypts=False, living=living(*paths)))
        assert [line.partition(":")[0] for line in told.value.problems] == [
            "pod_security or hardened",
            "audit_policy or hardened",
        ]

    def test_are_others_in_a_cluster_that_is_to_be_hardened_later(self) -> None:
        """It would be given the issuer's authorities in another file."""
        oidc = {"issuer_url": "https://login.example", "client_id": "kubernetes"}
        keys: dict[str, Any] = {"hardened": True, "encryption_at_rest": True, "oidc": oidc}
        there = living(path_of("oidc.ca"), api_server.KEYS)
        for verb, vms in ((provisioned, self.WITHOUT_A_MASTER), (replaced, restoration.WHOLE)):
            with pytest.raises(
                ConfigError, match=r"^hardened: cluster prod was made without it, .* set it to false\. .* anew"
            ):
                verb(facts(vms, KEYS, encrypts=True, living=there, **keys))
        hardened = living(*api_server.FILES.keys() - {path_of("oidc.ca")})
        given = facts(self.WITHOUT_A_MASTER, KEYS, encrypts=True, living=hardened, **keys)
        assert "create m-prod-2" in {it.key for it in provisioned(given).changes}

    def test_are_none_of_a_workers_business(self) -> None:
        given = facts(self.WITHOUT_A_WORKER, None, encrypts=False, living=living(path_of("audit_policy")))
        assert "create w-prod-1" in {it.key for it in provisioned(given).changes}
        given = facts(restoration.WHOLE, None, encrypts=False, living=living(path_of("audit_policy")))
        assert "create w-prod-1" in {it.key for it in replaced(given, "w-prod-1").changes}


def path_of(key: str) -> str:
    return next(path for path, its in api_server.FILES.items() if its.split()[0] == key)


def living(*paths: str) -> Living:
    names = ("m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1")
    nodes = tuple(ClusterNode(name, True, ("control-plane",) if name[0] == "m" else (), "10.0.0.5") for name in names)
    members = tuple(EtcdMember(name, name, ()) for name in names[:3])
    arguments = [{"name": "tls-cert-file", "value": path} for path in paths]
    kept = KubeadmConfiguration(json.dumps({"apiServer": {"extraArgs": arguments}}))
    return Living(nodes, members, "1.36.2", kubeadm=kept)
