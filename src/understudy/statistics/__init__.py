"""Statistics of the study: intervals, tests, ranks, agreement. Nothing here knows of tables, reports or files."""
