#!/usr/bin/env bash
# Makes this machine a template of nodes for kube-provision: run it as root on a machine of the right system, then shut the
# machine down and make it the template. It may be run again.
#
#     bash bake.sh              everything: packages, images, seal
#     bash bake.sh packages     installs, and nothing else; also in a chroot
#     bash bake.sh images       gets Kubernetes' images
#     bash bake.sh seal         writes down what is in it, and takes out what machines must not share
#
# A proxy is taken from the environment: http_proxy, https_proxy, no_proxy.
set -Eeuo pipefail
umask 022
export LC_ALL=C

work=''
publisher=${KUBE_PROVISION_PUBLISHER:-} # tells the hypervisor, where somebody has put a way to do so
stage=prepare state=''                  # as told last
failed=ended                            # the last command that failed

trap 'failed="line $LINENO: $BASH_COMMAND"' ERR
trap 'exit 143' TERM # of systemd, when the machine is shut down
trap 'ended "$?"' EXIT

# Whatever stops the bake is told, or whoever waits for it would wait until they lose patience.
ended() { # EXIT-CODE
  if [ "$1" -ne 0 ] && [ "$state" != failed ] && [ "$state" != "done" ]; then
    complain "$failed: exit code $1"
  fi
  if [ -n "$work" ]; then
    rm --recursive --force "$work"
  fi
}

is_running() { [ -d /run/systemd/system ]; }

if ! is_running; then
  export SYSTEMD_OFFLINE=1 # in a chroot units can be enabled and masked, and nothing be asked of them
fi

# Text as the inside of a JSON string.
escaped() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\t'/ }
  printf '%s' "$text" | tr --delete '\000-\037'
}

# A publisher that fails never stops the bake.
tell() { # STAGE STATE ERROR STEP ATTEMPT ATTEMPTS [MORE]
  stage=$1 state=$2
  if [ -x "$publisher" ]; then
    printf '{"stage": "%s", "state": "%s", "error": "%s", "step": "%s", "attempt": %d, "attempts": %d%s}' \
      "$1" "$2" "$(escaped "$3")" "$4" "$5" "$6" "${7:-}" | timeout 60 "$publisher" ||
      echo "bake: the status could not be published" >&2
  fi
}

complain() {
  echo "bake: $1" >&2
  tell "$stage" failed "$1" bake 1 1
}

refuse() {
  complain "$1"
  exit 1
}

# In one step, and never readable for more than it is meant to be. Not `install`: that of Ubuntu 26.04 reads no pipe where PATH exists.
file() { # PATH MODE, its content on stdin
  mkdir --parents "$(dirname "$1")"
  (umask 077 && cat >"$1.new")
  chmod "$2" "$1.new"
  mv --force --no-target-directory "$1.new" "$1"
}

step() { # STAGE NAME TIMEOUT ATTEMPTS, a script on stdin
  local stage=$1 name=$2 limit=$3 attempts=$4 attempt=1 said=''
  cat >"$work/step.sh"
  while true; do
    echo "bake: $stage: $name, attempt $attempt of $attempts"
    tell "$stage" running "$said" "$name" "$attempt" "$attempts"
    : >"$work/said"
    if timeout --kill-after=10 "$limit" bash -euo pipefail "$work/step.sh" 2> >(tee "$work/said" >&2); then
      return
    fi
    sleep 1 # what it said last may still be on its way
    said=$(grep . "$work/said" | tail --lines=1 || true)
    said="$name: ${said:-failed, or not done after $limit s}"
    if [ "$attempt" -ge "$attempts" ]; then
      echo "bake: $said" >&2
      tell "$stage" failed "$said" "$name" "$attempt" "$attempts"
      exit 1
    fi
    sleep $((attempt * 5))
    attempt=$((attempt + 1))
  done
}

check() {
  if [ "$EUID" -ne 0 ]; then
    refuse "root is needed"
  fi
  local trace
  for trace in {{ NODE_CONFIG_DIR }}/node.json /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf /etc/kubernetes/pki; do
    if [ -e "$trace" ]; then
      refuse "this machine is a node of a cluster ($trace): bake another one"
    fi
  done
  if is_running && [ -x "$(command -v cloud-init)" ]; then
    timeout 600 cloud-init status --wait >/dev/null 2>&1 || true # what it still has to do must not come after the sealing
  fi
  local name
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if is_running && [ -n "${!name:-}" ]; then
      systemctl import-environment "$name" # for the container runtime, until the machine is shut down
    fi
  done
}

packages() {
{% for it in files %}
{{ it }}
{% endfor %}
{% for it in packages %}
{{ it }}
{% endfor %}
  :
}

images() {
{% for it in images %}
{{ it }}
{% endfor %}
  :
}

list_versions() {
  {{ list_versions or ":" }}
}

list_images() {
  {{ list_images or ":" }}
}

record() {
  local name version image versions='' images='' system
  while read -r name version; do
    versions+="${versions:+, }\"$(escaped "$name")\": \"$(escaped "$version")\""
  done < <(list_versions)
  while read -r image; do
    images+="${images:+, }\"$(escaped "$image")\""
  done < <(list_images)
  # shellcheck source=/dev/null
  system=$(. /etc/os-release && echo "$PRETTY_NAME")
  printf '{"spec": "%s", "date": "%s", "system": "%s", "versions": %s, "images": [%s]}\n' \
    {{ spec }} "$(date --utc +%Y-%m-%dT%H:%M:%SZ)" "$(escaped "$system")" "{$versions}" "$images" |
    file {{ BAKED }} 0644
}

seal() {
  record
{% for it in seals %}
{{ it }}
{% endfor %}
  tell finish "done" "" seal 1 1 ", \"baked\": $(cat {{ BAKED }})"
  echo "bake: done: $(cat {{ BAKED }})"
}

work=$(mktemp --directory /var/tmp/kube-provision-bake.XXXXXX)
if [ -x "$publisher" ]; then
  cp "$publisher" "$work/publish" # it is sealed away before the last is told
  publisher=$work/publish
fi
if [ "$#" -eq 0 ]; then
  set -- packages images seal
fi
check
for part in "$@"; do
  case $part in
    packages | images | seal) "$part" ;;
    *) refuse "there is no part $part; there are packages, images and seal" ;;
  esac
done
