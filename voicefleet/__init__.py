"""The command line: runs the parts together and places test calls."""
