"""The project directory: sources, manifest, register map, testbench and vendor files."""
