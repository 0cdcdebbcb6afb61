# Written by cloud-init, which makes folders that everybody may enter.
if [ -d {{ folder }} ]; then
  chmod 0700 {{ folder }}
fi
