"""What the course needs beside the engine: the shipped data, exercises and their checks, and generators."""
