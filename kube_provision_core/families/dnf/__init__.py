"""RHEL's family: dnf and rpm, SELinux, firewalld, NetworkManager."""
