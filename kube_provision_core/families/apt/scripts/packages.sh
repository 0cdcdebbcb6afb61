export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

apt() {
  apt-get --yes --quiet --no-install-recommends --allow-downgrades --allow-change-held-packages \
    --option DPkg::Lock::Timeout=600 --option Acquire::Retries=5 --option APT::Update::Error-Mode=any \
    --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold "$@"
}

# Finds those that are not installed, each named as apt wants it: name, or name=pattern of a version.
find_lacking() {
  local wanted pattern found
  lacking=()
  for wanted in "$@"; do
    pattern='*'
    if [[ $wanted == *=* ]]; then
      pattern=${wanted#*=}
    fi
    # shellcheck disable=SC2016 # dpkg-query's own variables
    found=$(dpkg-query --show --showformat '${db:Status-Status} ${Version}' "${wanted%%=*}" 2>/dev/null) || true
    # shellcheck disable=SC2053 # a pattern
    if [[ $found != "installed "$pattern ]]; then
      lacking+=("$wanted")
    fi
  done
}

fetch_key() {
  if [ -s "$1" ]; then
    return
  fi
  curl --fail --silent --show-error --location --proto '=https' --retry 5 --retry-all-errors --max-time 60 --output "$1.part" "$2"
  if ! grep --quiet 'BEGIN PGP PUBLIC KEY BLOCK' "$1.part"; then
    echo "$2 is no signing key: does a proxy or a portal answer in its place?" >&2
    exit 1
  fi
  mv "$1.part" "$1"
}

# Hands delivered repository definitions to apt.
configure() {
  local source codename
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  for source in "$@"; do
    if [ -e "$source" ]; then
      sed "s/@CODENAME@/$codename/g" "$source" >"/etc/apt/sources.list.d/${source##*/}"
    fi
  done
}

# What a kill or a power cut has left half done: apt refuses everything until dpkg has finished it.
finish_interrupted() {
  if [ -n "$(ls "${DPKG_ADMINDIR:-/var/lib/dpkg}/updates")" ] || [ -n "$(dpkg --audit)" ]; then
    # What still lacks a package that it depends on cannot be finished yet: that is left to apt.
    dpkg --force-confdef --force-confold --configure --pending || true
  fi
}

for unit in "${masked[@]}"; do
  systemctl mask --quiet "$unit"
  if systemctl is-active --quiet "$unit"; then
    systemctl stop "$unit"
  fi
done

find_lacking "${wanted[@]}"
if [ "${#lacking[@]}" -gt 0 ]; then
  finish_interrupted
  configure /etc/kube-provision/apt/kube-provision-os.sources
  for old in "${replaced[@]}"; do
    if [ -e "$old" ]; then
      mv "$old" "$old.disabled"
    fi
  done
  if [ "${#keys[@]}" -gt 0 ]; then
    find_lacking ca-certificates curl
    if [ "${#lacking[@]}" -gt 0 ]; then
      apt update
      apt install "${lacking[@]}"
    fi
  fi
  mkdir --parents /etc/apt/keyrings
  for ((index = 0; index < ${#keys[@]}; index += 2)); do
    fetch_key "${keys[index]}" "${keys[index + 1]}"
  done
  configure /etc/kube-provision/apt/*.sources
  find_lacking "${wanted[@]}"
  # Where a repository has gone, what was fetched before it went will do.
  apt update || apt --no-download install "${lacking[@]}" 2>/dev/null
  if [ -n "$(dpkg --audit)" ]; then
    apt install --fix-broken
  fi
  apt install "${lacking[@]}"
fi

if [ "${#held[@]}" -gt 0 ]; then
  apt-mark hold "${held[@]}" >/dev/null
fi
