"""Several runs side by side: read (`runs`), ranked (`standings`), drawn (`charts`, `samples`), shown (`page`)."""
