# SELinux lets nginx listen on ports of the web alone; this one becomes one of them.
if ! selinuxenabled; then
  exit 0
fi
for port in "${ports[@]}"; do
  if ! semanage port --add --type http_port_t --proto tcp "$port"; then
    semanage port --modify --type http_port_t --proto tcp "$port" # it has another type, or has been added before
  fi
done
