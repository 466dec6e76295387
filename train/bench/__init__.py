"""Speed and memory side by side with another trainer."""
