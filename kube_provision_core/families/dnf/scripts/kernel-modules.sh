# A container has its host's kernel, and brings it no modules.
if systemd-detect-virt --quiet --container; then
  exit 0
fi
# Release 10 has these in kernel-modules-extra, which cloud images leave out. kubeadm needs the first one, CNIs the others.
missing() {
  local module
  for module in br_netfilter ip_set nft_compat vxlan; do
    if ! modprobe --dry-run --quiet "$module"; then
      echo "$module"
    fi
  done
}

kernel=$(uname --kernel-release)
if [ -z "$(missing)" ]; then
  exit 0
fi
log=$(mktemp)
why=''
if ! dnf --assumeyes install "kernel-modules-$kernel" "kernel-modules-extra-$kernel" 2>&1 | tee "$log"; then
  why=", and dnf brings none ($(tail --lines=1 "$log"))"
fi
rm --force "$log"
mapfile -t modules < <(missing)
if [ "${#modules[@]}" -gt 0 ]; then
  echo "the template's kernel $kernel has no modules ${modules[*]}$why: install kernel-modules-extra of this kernel in the template" >&2
  exit 1
fi
