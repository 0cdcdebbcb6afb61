# Files that the boot delivered stay as they are, whatever a package brings.
keep() {
  local file
  for file in "${kept[@]}"; do
    if [ -e "$file" ] && [ ! -e "$file.kube-provision" ]; then
      cp --preserve=all "$file" "$file.kube-provision"
    fi
  done
}

give_back() {
  local file
  for file in "${kept[@]}"; do
    if [ -e "$file.kube-provision" ]; then
      mv "$file.kube-provision" "$file"
    fi
  done
}
