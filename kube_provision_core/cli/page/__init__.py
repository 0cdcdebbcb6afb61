"""`--report`: a run as one page that anybody can open."""
