systemctl daemon-reload
{% for unit in units %}
systemctl start {{ unit | shell }}
{% endfor %}
