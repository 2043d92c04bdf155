"""What workers report and where clients are sent, on the engine's event loop."""
