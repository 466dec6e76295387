"""What is trained, and its way from and to the tensors of a single file."""
