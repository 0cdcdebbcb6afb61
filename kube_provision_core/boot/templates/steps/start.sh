systemctl daemon-reload
# What a unit has said itself stands in the journal alone.
say_why() {
  journalctl --unit "$1" --lines 20 --output cat --no-pager >&2
  exit 1
}
{% for unit in units %}
systemctl start {{ unit | shell }} || say_why {{ unit | shell }}
{% endfor %}
