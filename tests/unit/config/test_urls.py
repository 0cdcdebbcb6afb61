"""No URL holds a user name, a password or a token, whatever key it stands under."""

from __future__ import annotations

import pytest

from kube_provision_core.registry import choose

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
HELD = "holds a user name or a password, which a URL shows to everybody: take it out; "


@pytest.mark.parametrize(
    "url",
    [
        "https://ann:hunter2@m.example/x",
        "http://ann@m.example",
        "https://:hunter2@m.example",
        "https://ann:hun/ter2@m.example",
        "https://ann:h#2@m.example",
    ],
)
@pytest.mark.parametrize(
    ("written", "subject", "instead"),
    [
        ("docker_proxy: {}", "docker_proxy", "username and password are keys of their own under registries"),
        (
            "registries: {{quay.io: {{mirrors: ['{}']}}}}",
            "registries.quay.io.mirrors[0]",
            "username and password are keys of their own under registries",
        ),
        ("http_proxy: {}", "http_proxy", "proxy_username and proxy_password are keys of their own"),
        ("workers: {{https_proxy: {}}}", "https_proxy", "proxy_username and proxy_password are keys of their own"),
        (
            "package_repositories: {{os: {{url: '{}'}}}}",
            "package_repositories.os.url",
            "what is fetched there must need none",
        ),
        ("image_archives: {}", "image_archives", "what is fetched there must need none"),
        ("seed_manifests: ['{}']", "seed_manifests[0]", "what is fetched there must need none"),
    ],
)
def test_one_with_a_password_is_refused_at_its_line(complaints, written: str, subject: str, instead: str, url: str) -> None:
    (line,) = complaints(f"{MINIMAL}{written.format(url)}\n")
    assert line == f"config.yml:6: {subject}: {HELD}{instead}"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("token=hunter2", "token"),
        ("ref=v1&private_token=hunter2", "private_token"),
        ("X-Amz-Expires=60&X-Amz-Signature=hunter2", "X-Amz-Signature"),
        ("sv=2024&sig=hunter2", "sig"),
        ("accessToken=hunter2#top", "accessToken"),
        ("api%5Fkey=hunter2", "api_key"),
    ],
)
@pytest.mark.parametrize(
    ("written", "subject"),
    [
        ("image_archives: '{}'", "image_archives"),
        ("seed_manifests: ['{}']", "seed_manifests[0]"),
        ("package_repositories: {{os: {{url: '{}'}}}}", "package_repositories.os.url"),
        ("package_repositories: {{os: {{url: https://m.example, key: '{}'}}}}", "package_repositories.os.key"),
    ],
)
def test_one_with_a_token_in_its_query_is_refused_too(complaints, written: str, subject: str, query: str, name: str) -> None:
    (line,) = complaints(f"{MINIMAL}{written.format(f'https://m.example/x?{query}')}\n")
    assert line.startswith(
        f"config.yml:6: {subject}: has `{name}` in its query, which a URL shows to everybody: take it out"
    )
    assert "hunter2" not in line


@pytest.mark.parametrize("query", ["ref=v3.31&raw=true", "op=get&search=0x123", "x=token", "", "tokens=3"])
def test_a_query_without_one_is_taken(load_text, query: str) -> None:
    url = f"https://m.example/x?{query}"
    assert load_text(f"{MINIMAL}seed_manifests: ['{url}']\n").core.seed_manifests == [url]


def test_a_keys_url_is_refused_too(complaints) -> None:
    written = "package_repositories: {os: {url: 'https://m.example', key: 'https://ann:hunter2@m.example/key'}}\n"
    (line,) = complaints(MINIMAL + written)
    assert line == f"config.yml:6: package_repositories.os.key: {HELD}what is fetched there must need none"


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "ftp", "git+ssh"])
@pytest.mark.parametrize(
    ("written", "subject", "said"),
    [
        ("trusted_ca: {}", "trusted_ca", "is a URL, and a file or folder of this machine is wanted"),
        ("registries: {{quay.io: {{ca: '{}'}}}}", "registries.quay.io.ca", "is a URL, and a file or folder of"),
        ("files: {{/etc/x: '{}'}}", "files./etc/x", "is a URL, and a file or folder of this machine is wanted"),
        ("packages: ['{}']", "packages[0]", "is a URL, and a name is wanted"),
        ("ntp_servers: ['{}']", "ntp_servers[0]", "is a URL, and a name is wanted"),
        ("no_proxy: ['{}']", "no_proxy[0]", "is a URL, and a name is wanted"),
        ("containers: [{{service: x, image: '{}'}}]", "containers[0].image", "is a URL, and a name is wanted"),
    ],
)
def test_one_where_none_is_wanted_is_not_quoted(complaints, written: str, subject: str, said: str, scheme: str) -> None:
    (line,) = complaints(f"{MINIMAL}{written.format(f'{scheme}://ann:hunter2@m.example/x')}\n")
    assert line.startswith(f"config.yml:6: {subject}: {said}")


@pytest.mark.parametrize("scheme", ["HTTPS", "ftp", "git+ssh"])
def test_one_of_another_kind_is_not_taken_for_a_manifests_file(complaints, scheme: str) -> None:
    (line,) = complaints(f"{MINIMAL}seed_manifests: ['{scheme}://ann:hunter2@m.example/x.yaml']\n")
    assert line == "config.yml:6: seed_manifests[0]: must be a file, or a URL (http:// or https://)"


def test_a_drivers_url_is_refused_too() -> None:
    with pytest.raises(ValueError, match=HELD[:30]) as caught:
        choose("target", "qemu").cls.Config(template="t", bake_from="https://ann:hunter2@m.example/x.qcow2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["image_archives", "docker_proxy", "https_proxy"])
@pytest.mark.parametrize("url", ["https://", "https:///x", "http://:5000", "https://m.example:x", "https://m.example:99999"])
def test_one_that_leads_nowhere_is_refused_at_its_line(complaints, key: str, url: str) -> None:
    (line,) = complaints(f"{MINIMAL}{key}: {url}\n")
    assert line.startswith(f"config.yml:6: {key}: ")


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("[::1", "has a host that is no DNS name "),
        ("[fd00::zz]:5000", "has a host that is no DNS name "),
        ("-a.b", "has a host that is no DNS name "),
        ("ümlaut.example", "has a host that is no DNS name "),
        ("10.0.0.256", "has a host that is no DNS name "),
        ("m\uff0fexample", "has a host that is no DNS name "),
        ("m.example:65536", "has a port that is no number from 1 to 65535"),
        ("m.example:", "has a port that is no number from 1 to 65535"),
        (":5000", "has no host"),
    ],
)
@pytest.mark.parametrize(
    ("written", "subject"),
    [
        ("registries: {{quay.io: {{mirrors: ['https://{}/v2/x']}}}}", "registries.quay.io.mirrors[0]"),
        ("docker_proxy: 'https://{}/v2/x'", "docker_proxy"),
        ("http_proxy: 'http://{}'", "http_proxy"),
        ("seed_manifests: ['https://{}/cni.yaml']", "seed_manifests[0]"),
        ("image_archives: 'https://{}?x=1'", "image_archives"),
    ],
)
def test_what_names_no_host_is_told_in_our_own_words(complaints, written: str, subject: str, host: str, said: str) -> None:
    (line,) = complaints(f"{MINIMAL}{written.format(host)}\n")
    assert line.startswith(f"config.yml:6: {subject}: {said}")


@pytest.mark.parametrize("host", ["[fd00::1]:5000", "10.0.0.1", "M.Example:65535"])
def test_addresses_and_ports_are_taken(load_text, host: str) -> None:
    url = f"https://{host}/x"
    assert load_text(f"{MINIMAL}docker_proxy: '{url}'\n").core.docker_proxy == url


@pytest.mark.parametrize("url", ["https://m.example/a@b", "https://m.example:5000/?mail=a@b.example"])
def test_an_at_sign_elsewhere_is_none(load_text, url: str) -> None:
    assert load_text(f"{MINIMAL}image_archives: {url}\n").core.image_archives == url


def test_a_proxys_login_stands_under_keys_of_its_own(load_text, complaints) -> None:
    proxied = MINIMAL + "https_proxy: http://p:3128\nproxy_username: ann\n"
    environ = {"KUBE_PROVISION_PROXY_PASSWORD": "hunter2"}
    assert load_text(proxied, environ=environ).core.proxy_username == "ann"
    assert complaints(proxied) == ["config.yml:7: proxy_username and proxy_password belong together: give both"]
    assert complaints(proxied.replace("https_proxy: http://p:3128", "cpu: 2"), environ=environ) == [
        "config.yml:7: proxy_username is given, and neither http_proxy nor https_proxy is"
    ]
