if [ -d /run/systemd/system ]; then
  # The last one would write another seed when the machine is shut down.
  systemctl stop kubelet.service containerd.service systemd-random-seed.service 2>/dev/null || true
fi

# What a boot delivers comes again with the machine's own boot data, the marks of steps that are done first of all.
find {{ NODE_CONFIG_DIR }} -mindepth 1 -maxdepth 1 ! -path {{ BAKED }} -exec rm --recursive --force {} +
rm --recursive --force {{ NODE_DIR }} /var/lib/kube-provision
rm --force /etc/systemd/system/kube-provision*.service /etc/systemd/system/kube-provision*.timer
rm --force /etc/systemd/system/*.wants/kube-provision*
{% if registries %}
rm --force {{ registries | map("shell") | join(" ") }}
if [ -e /etc/containerd/config.toml ]; then
  sed --in-place '/^# Logins of registries/,$d' /etc/containerd/config.toml
  chmod 0644 /etc/containerd/config.toml
fi
{% endif %}

if [ -x "$(command -v cloud-init)" ]; then
  cloud-init clean --logs
fi
# Empty and not `uninitialized`: that would be a first boot to systemd, which then enables whatever its presets name.
: >/etc/machine-id
if [ ! -L /var/lib/dbus/machine-id ]; then
  rm --force /var/lib/dbus/machine-id
fi
rm --force /etc/ssh/ssh_host_*
rm --force /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
rm --force /var/lib/containerd/io.containerd.grpc.v1.introspection/uuid

# The network of the machine that baked.
: >/etc/hostname
rm --force /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init*
rm --force /etc/systemd/network/10-cloud-init-*.{link,netdev,network} # and no folder beside them, which is the template's own
rm --force /etc/NetworkManager/system-connections/cloud-init-* /etc/udev/rules.d/70-persistent-net.rules
rm --force /var/lib/dhcp/*.leases /var/lib/NetworkManager/*.lease /var/lib/NetworkManager/secret_key

if [ -d /run/systemd/system ]; then
  journalctl --relinquish-var 2>/dev/null || true # else it goes on writing there
fi
rm --recursive --force /var/log/journal/*
find /var/log -xdev -type f -exec truncate --no-create --size=0 {} +
rm --force /root/.bash_history /home/*/.bash_history
if [ -x "$(command -v fstrim)" ]; then
  fstrim --all 2>/dev/null || true # a disk that cannot be trimmed is only larger
fi
sync
