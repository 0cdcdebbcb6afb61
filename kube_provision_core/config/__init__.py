"""config.yml + flags + environment → Config."""
