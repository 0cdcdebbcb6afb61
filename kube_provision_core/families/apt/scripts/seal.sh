apt-get clean
rm --recursive --force /var/lib/apt/lists/*
