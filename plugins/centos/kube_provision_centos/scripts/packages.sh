# Whether packages are installed, each named as dnf wants it: a name, a pattern of name, version and release, or what one provides.
installed() {
  local wanted
  for wanted in "$@"; do
    if [[ $wanted == *\** ]]; then
      is_installed_as "$wanted" || return 1
    else
      rpm --query --quiet --whatprovides "$wanted" || return 1
    fi
  done
}

is_installed_as() {
  local found
  while read -r found; do
    # shellcheck disable=SC2053 # a pattern
    if [[ $found == $1 ]]; then
      return 0
    fi
  done < <(rpm --query --all --queryformat '%{NAME}-%{VERSION}-%{RELEASE}\n')
  return 1
}

# Files that the boot delivered stay as they are, whatever a package brings.
keep() {
  local file
  for file in "${kept[@]}"; do
    if [ -e "$file" ] && [ ! -e "$file.kube-provision" ]; then
      cp --preserve=all "$file" "$file.kube-provision"
    fi
  done
}

give_back() {
  local file
  for file in "${kept[@]}"; do
    if [ -e "$file.kube-provision" ]; then
      mv "$file.kube-provision" "$file"
    fi
  done
}

for unit in "${masked[@]}"; do
  systemctl mask --quiet "$unit"
  if systemctl is-active --quiet "$unit"; then
    systemctl stop "$unit"
  fi
done

if ! installed "${wanted[@]}"; then
  keep
  # Not --quiet: dnf would not say either why it fetches nothing.
  dnf --assumeyes --setopt=install_weak_deps=False --disableexcludes="${unlocked[0]}" install "${wanted[@]}"
fi
give_back

if [ "${#enabled[@]}" -gt 0 ]; then
  systemctl daemon-reload
  systemctl enable --quiet "${enabled[@]}"
fi
if [ "${#started[@]}" -gt 0 ]; then
  systemctl start "${started[@]}"
fi
