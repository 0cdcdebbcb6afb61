# SELinux stays as strict as it is: nginx may listen on 8443 anyway, and is now allowed to connect to the masters.
if ! selinuxenabled; then
  exit 0
fi
setsebool -P httpd_can_network_connect on
semodule --install /etc/kube-provision/selinux/kube_provision.cil
