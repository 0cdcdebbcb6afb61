export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

# What is held stays, and nothing is removed; a new kernel is a new package.
apt() {
  apt-get --yes --quiet --no-install-recommends \
    --option DPkg::Lock::Timeout=600 --option Acquire::Retries=5 --option APT::Update::Error-Mode=any \
    --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold "$@"
}

# What a kill or a power cut has left half done; what it cannot finish without other packages is left to apt.
dpkg --force-confdef --force-confold --configure --pending || true
apt update
apt --fix-broken install
apt --with-new-pkgs upgrade
