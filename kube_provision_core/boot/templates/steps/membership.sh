exec python3 {{ NODE_DIR }}/choreography.py join
