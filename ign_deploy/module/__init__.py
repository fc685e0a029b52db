"""What an Ignition module is: descriptor, archive, signature files, findings. Pure code."""
