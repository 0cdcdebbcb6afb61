# What belongs to a module that is loaded later is set then, by a rule of udev's; only what is there can be wrong now.
sysctl --quiet --ignore --load={{ file }}
paths=({% for path in paths %}{{ path | shell }}{{ "" if loop.last else " " }}{% endfor %})
for path in "${paths[@]}"; do
  if [ ! -e "/proc/sys/$path" ]; then
    echo "sysctls: /proc/sys/$path does not exist yet: it is set when its module is loaded" >&2
  fi
done
