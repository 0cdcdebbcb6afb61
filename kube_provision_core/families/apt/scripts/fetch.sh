# Nothing is installed. What lies there needs no repository when its turn comes.
apt-get --yes --quiet --no-install-recommends --download-only --allow-downgrades --allow-change-held-packages \
  --option DPkg::Lock::Timeout=600 --option Acquire::Retries=5 install "${fetched[@]}"
