# Nothing is installed. What lies there needs no repository when its turn comes.
dnf --assumeyes --downloadonly --setopt=keepcache=True --setopt=install_weak_deps=False --disableexcludes="${unlocked[0]}" \
  install "${fetched[@]}"
