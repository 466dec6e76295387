"""The paper's comparison at a small scale."""
