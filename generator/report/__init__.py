"""report.html: the compiled design as pictures and tables."""
