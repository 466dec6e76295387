"""Speed and memory side by side: with another trainer, and of several processes with one."""
