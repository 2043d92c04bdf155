"""The controller's HTTP calls: Vast's for clients, magister's for scripts, our own for people."""
