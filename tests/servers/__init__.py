"""Private real servers for tests and the demo: each in a folder of its own, on free ports of 127.0.0.1, stopped by its own pid.
They work as root in a container and as an ordinary user. Nothing here listens beyond the machine or touches its configuration."""
