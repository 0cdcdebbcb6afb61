# Stream 10 has these in kernel-modules-extra, which its cloud images leave out. kubeadm needs the first one, CNIs the others.
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
dnf --assumeyes --quiet install "kernel-modules-$kernel" "kernel-modules-extra-$kernel" || true
mapfile -t modules < <(missing)
if [ "${#modules[@]}" -gt 0 ]; then
  echo "the template's kernel $kernel has no modules ${modules[*]}: install kernel-modules-extra of this kernel in the template" >&2
  exit 1
fi
